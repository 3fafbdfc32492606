"""The types that members of a request are made of: pydantic annotations, strict (no "1" for 1, no true for 1).

Unions are told apart by the shape of the value, never by trying the branches in turn: so a fault is one fault.
The tags of their branches begin with TAG, which `faults` takes out of the paths again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    Tag,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from server.protocol.limits import MAX_COUNT, MAX_STOPS

Annotation = Any  # what pydantic.TypeAdapter takes

TAG = "\0"
STRING, ARRAY, OBJECT = TAG + "string", TAG + "array", TAG + "object"

MAX_EXACT = 2**53  # a double beyond this is no one integer


@dataclass(frozen=True, eq=False)
class Documented:
    """Keywords for the JSON schema alone: bounds that are checked against `Limits`, apart."""

    keywords: Mapping[str, object]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler.resolve_ref_schema(handler(core)), **self.keywords}


def _whole(value: object) -> object:
    """5.0 is 5 to JSON, and the decoder makes a float of what has more than 64 bits."""
    if not isinstance(value, float) or not value.is_integer():
        return value
    if abs(value) > MAX_EXACT:
        code, message = ("too_big" if value > 0 else "too_small"), "Expected 64 bits at most, all digits written out"
        raise PydanticCustomError(code, message + ", received {value}", {"value": value})
    return int(value)


def _int_keys(biases: dict[str, float]) -> dict[int, float]:
    return {int(token_id): bias for token_id, bias in biases.items()}


def number(low: float, high: float) -> Annotation:
    return Annotated[float, Strict(), Field(ge=low, le=high)]


def integer(low: int, high: int = MAX_COUNT) -> Annotation:
    return Annotated[int, Strict(), Field(ge=low, le=high), BeforeValidator(_whole)]


def array(item: Annotation, low: int = 0, high: int | None = None) -> Annotation:
    """`high` is for the JSON schema alone: see `Limits.most_elements`."""
    most = {} if high is None else {"maxItems": high}
    return Annotated[GenericAlias(list, (item,)), Field(min_length=low), Documented(most), AfterValidator(tuple)]


Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
NonEmpty = Annotated[Text, StringConstraints(min_length=1)]
NotBlank = Annotated[Text, StringConstraints(pattern=r"\S")]
ToolName = Annotated[Text, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
FunctionType = Literal["function"]
TokenKey = Annotated[Text, StringConstraints(pattern=r"^[0-9]{1,10}$")]
LogitBias = Annotated[
    dict[TokenKey, Annotated[float, Strict(), Field(ge=-100, le=100)]],
    Documented({"additionalProperties": False}),
    AfterValidator(_int_keys),
]


def _shape(value: object) -> str | None:
    if isinstance(value, str):
        return STRING
    if isinstance(value, list):
        return ARRAY
    return OBJECT if isinstance(value, dict) else None


def by_shape(expected: str) -> Discriminator:
    """Chooses the branch tagged STRING, ARRAY or OBJECT; `expected` names those there are."""
    return Discriminator(_shape, custom_error_type="invalid_type", custom_error_message=f"Expected {expected}")


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


Stop = Annotated[
    Annotated[NonEmpty, Tag(STRING)] | Annotated[list[NonEmpty], Documented({"maxItems": MAX_STOPS}), Tag(ARRAY)],
    by_shape("string or array of strings"),
    AfterValidator(_listed),
]


def never(*harmless: object, message: str) -> Annotation:
    """A member that is refused as soon as it asks for something; `harmless` values (and null) do not."""

    def check(value: object) -> object:
        if any(value == fine and isinstance(value, bool) == isinstance(fine, bool) for fine in harmless):
            return value
        raise PydanticCustomError("custom", "{why}", {"why": message})

    return Annotated[Any, BeforeValidator(check), Documented({"enum": list(harmless)})]
