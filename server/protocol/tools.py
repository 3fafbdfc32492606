"""Tools, the choice among them, and the form of the answer: as they come, and as the house uses them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Discriminator, Tag
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from server.protocol.limits import MAX_TOOLS
from server.protocol.types import OBJECT, STRING, TAG, Documented, Flag, FunctionType, Text, ToolName, by_shape

Schema = Mapping[str, object]  # a JSON schema, not yet compiled


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters`: None when it takes none."""

    name: str
    description: str | None = None
    parameters: Schema | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The choice of one function by its name."""

    name: str


ToolMode = Literal["auto", "none", "required"]
ToolChoice = ToolMode | NamedTool


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """`schema` is set for "json_schema" and only there."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: Schema | None = None
    strict: bool = False


class _Function(TypedDict):
    name: ToolName
    description: NotRequired[Text | None]
    parameters: NotRequired[dict[str, Any] | None]
    strict: NotRequired[Flag | None]


class _Tool(TypedDict):
    type: NotRequired[FunctionType | None]
    function: _Function


def _tools(wire: list[_Tool]) -> tuple[Tool, ...]:
    return tuple(_tool(tool["function"]) for tool in wire)


def _tool(wire: _Function) -> Tool:
    return Tool(wire["name"], wire.get("description"), wire.get("parameters"), bool(wire.get("strict")))


Tools = Annotated[list[_Tool], Documented({"maxItems": MAX_TOOLS}), AfterValidator(_tools)]


class _ChosenFunction(TypedDict):
    name: Text


class _Choice(TypedDict):
    type: NotRequired[FunctionType]
    function: _ChosenFunction


def _choice(wire: ToolMode | _Choice) -> ToolChoice:
    return wire if isinstance(wire, str) else NamedTool(wire["function"]["name"])


Choice = Annotated[
    Annotated[ToolMode, Tag(STRING)] | Annotated[_Choice, Tag(OBJECT)],
    by_shape("'auto', 'none', 'required' or an object that names a function"),
    AfterValidator(_choice),
]


class _Plain(TypedDict):
    type: Literal["text", "json_object"]


class _NamedSchema(TypedDict):
    name: NotRequired[Text | None]
    description: NotRequired[Text | None]
    schema: dict[str, Any]
    strict: NotRequired[Flag | None]


class _Schematic(TypedDict):
    type: Literal["json_schema"]
    json_schema: _NamedSchema


class _Unknown(TypedDict):
    type: Literal["text", "json_object", "json_schema"]


_PLAIN, _SCHEMATIC, _UNKNOWN = TAG + "plain", TAG + "schema", TAG + "unknown"


def _format_kind(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "json_schema":
        return _SCHEMATIC
    return _PLAIN if kind in ("text", "json_object") else _UNKNOWN


def _format(wire: dict[str, Any]) -> ResponseFormat:
    named = wire.get("json_schema") if wire["type"] == "json_schema" else None
    if named is None:
        return ResponseFormat(wire["type"])
    return ResponseFormat("json_schema", named["schema"], bool(named.get("strict")))


Format = Annotated[
    Annotated[_Plain, Tag(_PLAIN)]
    | Annotated[_Schematic, Tag(_SCHEMATIC)]
    | SkipJsonSchema[Annotated[_Unknown, Tag(_UNKNOWN)]],
    Discriminator(_format_kind),
    AfterValidator(_format),
]
