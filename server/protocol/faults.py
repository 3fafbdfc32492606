"""Faults that pydantic found, in Zod's vocabulary and with paths into the body."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from server.errors import Detail
from server.protocol.body import kind_of
from server.protocol.limits import MAX_DETAILS
from server.protocol.types import TAG

CODES = ("invalid_type", "invalid_enum_value", "invalid_string", "too_small", "too_big", "custom")

_TYPES = {
    "string_type": "string",
    "int_type": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "list_type": "array",
    "dict_type": "object",
}
_RULES = {
    "greater_than_equal": ("too_small", "Number must be greater than or equal to {ge}, received {got}"),
    "less_than_equal": ("too_big", "Number must be less than or equal to {le}, received {got}"),
    "too_short": ("too_small", "Array must contain at least {min_length} element(s), received {actual_length}"),
    "string_too_short": ("too_small", "String must contain at least {min_length} character(s)"),
    "string_pattern_mismatch": ("invalid_string", "String must match {pattern}, received {got}"),
    "literal_error": ("invalid_enum_value", "Expected {expected}, received {got}"),
}
_LONGEST_WORD = 40  # characters of a caller's string that are repeated to him, at most
_LONGEST_KEY = 64
_FIRST = 32  # elements


def read(reader: TypeAdapter[object], value: object, root: str) -> tuple[object, list[Detail]]:
    """The value of the member `root`, or one detail per fault."""
    try:
        return reader.validate_python(value), []
    except ValidationError as error:
        many = error.error_count() > MAX_DETAILS
        return None, _first_details(reader, value, root) if many else _details(error, root)


def _details(error: ValidationError, root: str) -> list[Detail]:
    return [_detail(fault, root) for fault in error.errors(include_url=False)]


def _first_details(reader: TypeAdapter[object], value: object, root: str) -> list[Detail]:
    """Wording a million faults would take seconds: those among the first elements stand for the rest."""
    rest = Detail("custom", "Further faults are not listed", (root,))
    try:
        reader.validate_python(_first(value))
    except ValidationError as error:
        return [*_details(error, root), rest]
    return [rest]


def _first(value: object) -> object:
    if isinstance(value, dict):
        return {key: value[key] for key in islice(value, _FIRST)}
    return _first_elements(value)


def _first_elements(value: object) -> object:
    """Arrays cut short, at any depth; the objects within them must stay whole."""
    if isinstance(value, dict):
        return {key: _first_elements(child) for key, child in value.items()}
    return [_first_elements(child) for child in value[:_FIRST]] if isinstance(value, list) else value


def _detail(fault: ErrorDetails, root: str) -> Detail:
    code, message = _wording(fault["type"], fault["msg"], fault.get("ctx", {}), fault["input"])
    return Detail(code, message, path_of((root, *fault["loc"])))


def _wording(kind: str, text: str, context: Mapping[str, object], value: object) -> tuple[str, str]:
    if kind == "missing":
        return "invalid_type", "Required"
    if kind in _TYPES:
        return "invalid_type", f"Expected {_TYPES[kind]}, received {kind_of(value)}"
    if kind in _RULES:
        code, pattern = _RULES[kind]
        return code, pattern.format(**_plain(context), got=word(value))
    if kind == "invalid_type":
        return kind, f"{text}, received {kind_of(value)}"
    return (kind if kind in CODES else "custom"), text


def _plain(context: Mapping[str, object]) -> dict[str, object]:
    return {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in context.items()}


def word(value: object) -> str:
    """A value to show in a message: never more than a few words of a string."""
    if not isinstance(value, str):
        return kind_of(value)
    return repr(value) if len(value) <= _LONGEST_WORD else f"{value[:_LONGEST_WORD]!r}…"


def path_of(location: Sequence[int | str]) -> tuple[str, ...]:
    """A location of pydantic's without what is not in the body: tags of unions, "[key]". Ends before an endless key."""
    steps = [str(step) for step in location if not str(step).startswith(TAG)]
    if steps[-1:] == ["[key]"]:
        steps.pop()
    endless = next((i for i, step in enumerate(steps) if len(step) > _LONGEST_KEY), len(steps))
    return tuple(steps[:endless])


def bounded(details: Iterable[Detail]) -> list[Detail]:
    """At most MAX_DETAILS; where there are more, the last of them says so."""
    listed = list(islice(details, MAX_DETAILS + 1))
    if len(listed) <= MAX_DETAILS:
        return listed
    return [*listed[: MAX_DETAILS - 1], Detail("custom", "Further faults are not listed")]
