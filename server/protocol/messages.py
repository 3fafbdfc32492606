"""Messages: as they come, and as the house uses them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, cast

import orjson
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from server.protocol.body import deeper_than, has_too_many_values
from server.protocol.limits import MAX_CALLS, MAX_DEPTH, MAX_MESSAGES, MAX_PARTS
from server.protocol.types import ARRAY, STRING, TAG, Documented, FunctionType, NonEmpty, Text, by_shape

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCallIn:
    """A call that an earlier turn made. `arguments`: parsed."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `content` is None only for the assistant; `tool_call_id` is set for tools and only there.

    reasoning: what the assistant thought.
    """

    role: Role
    content: str | None
    tool_calls: tuple[ToolCallIn, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = None


def _read_arguments(value: object) -> object:
    """The JSON text that calls carry; an empty one, null and an object are what some clients make of it."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, str):
        return _read_object_text(value)
    return value


def _read_object_text(text: str) -> object:
    try:
        value = None if has_too_many_values(text.encode()) else orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or deeper_than(value, MAX_DEPTH):
        raise PydanticCustomError("invalid_string", "Expected a JSON object as text")
    return value


Arguments = Annotated[
    dict[str, Any], BeforeValidator(_read_arguments), WithJsonSchema({"type": ["string", "object", "null"]})
]


class _TextPart(TypedDict):
    type: Literal["text"]
    text: Text


class _OtherPart(TypedDict):
    """Of a part that is not text only the type is read: one fault, not one for every member it lacks."""

    type: Literal["text"]


def _part_kind(part: object) -> str:
    return _TEXT if isinstance(part, dict) and part.get("type") == "text" else _OTHER


def _at_most(most: int) -> BeforeValidator:
    """Elements of an array; more of them are one fault, and are not read."""

    def bounded(value: object) -> object:
        if isinstance(value, list) and len(value) > most:
            message = "Array must contain at most {most} element(s), received {count}"
            raise PydanticCustomError("too_big", message, {"most": most, "count": len(value)})
        return value

    return BeforeValidator(bounded)


def _joined(content: str | list[_TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


_TEXT, _OTHER = TAG + "text", TAG + "other"

Part = Annotated[
    Annotated[_TextPart, Tag(_TEXT)] | SkipJsonSchema[Annotated[_OtherPart, Tag(_OTHER)]], Discriminator(_part_kind)
]
Content = Annotated[
    Annotated[Text, Tag(STRING)]
    | Annotated[list[Part], _at_most(MAX_PARTS), Documented({"maxItems": MAX_PARTS}), Tag(ARRAY)],
    by_shape("string or array of text parts"),
    AfterValidator(_joined),
]


class _CalledFunction(TypedDict):
    name: NonEmpty
    arguments: Arguments


class _Call(TypedDict):
    id: NonEmpty
    type: NotRequired[FunctionType | None]
    function: _CalledFunction


Calls = Annotated[list[_Call], _at_most(MAX_CALLS), Documented({"maxItems": MAX_CALLS})]


class _System(TypedDict):
    role: Literal["system"]
    content: Content
    name: NotRequired[Text | None]


class _User(TypedDict):
    role: Literal["user"]
    content: Content
    name: NotRequired[Text | None]


class _Assistant(TypedDict):
    role: Literal["assistant"]
    content: NotRequired[Content | None]
    tool_calls: NotRequired[Calls | None]
    reasoning_content: NotRequired[Text | None]
    name: NotRequired[Text | None]


class _Tool(TypedDict):
    role: Literal["tool"]
    content: Content
    tool_call_id: NonEmpty
    name: NotRequired[Text | None]


class _Stranger(TypedDict):
    """No role that we know: that is the fault, besides what is wrong in the content."""

    role: Role
    content: NotRequired[Content | None]


_STRANGER = TAG + "stranger"
_ROLES = ("system", "user", "assistant", "tool")


def _role(message: object) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return TAG + cast(str, role) if role in _ROLES else _STRANGER


WireMessage = Annotated[
    Annotated[_System, Tag(TAG + "system")]
    | Annotated[_User, Tag(TAG + "user")]
    | Annotated[_Assistant, Tag(TAG + "assistant")]
    | Annotated[_Tool, Tag(TAG + "tool")]
    | SkipJsonSchema[Annotated[_Stranger, Tag(_STRANGER)]],
    Discriminator(_role),
]


def _messages(wire: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(_message(message) for message in wire)


def _message(wire: dict[str, Any]) -> Message:
    return Message(
        role=wire["role"],
        content=wire.get("content"),
        tool_calls=tuple(_call(call) for call in wire.get("tool_calls") or ()),
        tool_call_id=wire.get("tool_call_id"),
        name=wire.get("name"),
        reasoning=wire.get("reasoning_content"),
    )


def _call(wire: _Call) -> ToolCallIn:
    return ToolCallIn(wire["id"], wire["function"]["name"], wire["function"]["arguments"])


Messages = Annotated[
    list[WireMessage], Field(min_length=1), Documented({"maxItems": MAX_MESSAGES}), AfterValidator(_messages)
]
