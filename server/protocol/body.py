"""Bytes to a JSON object."""

from collections.abc import Iterable

import orjson

from server.errors import Detail, InvalidRequest
from server.protocol.limits import MAX_VALUES

JsonObject = dict[str, object]

# What the decoder says of JSON that is nested deeper than it can go, closed or not.
_TOO_DEEP = ("depth limit exceeded", "failed to allocate memory")


def read_object(body: bytes) -> JsonObject:
    """The object in a request's body. Of members with the same name the last one counts, as everywhere.

    Raises:
        InvalidRequest: not JSON (RFC 8259: no NaN, no lone surrogates, UTF-8 only), or not an object.
    """
    if has_too_many_values(body):
        raise InvalidRequest.of([Detail("too_big", f"Body must contain at most {MAX_VALUES} commas and brackets")])
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest.of([Detail("custom", _malformed(body, str(error)))]) from None
    if not isinstance(value, dict):
        raise InvalidRequest.of([Detail("invalid_type", f"Expected object, received {kind_of(value)}")])
    return value


def _malformed(body: bytes, reason: str) -> str:
    if not body.strip():
        return "The body is empty; expected a JSON object"
    if reason.startswith(_TOO_DEEP):
        return "Malformed JSON: nested too deeply"
    return f"Malformed JSON: {reason}"


def has_too_many_values(text: bytes) -> bool:
    """Told by a count that takes milliseconds, where the decoder would take seconds."""
    return len(text) > MAX_VALUES and sum(map(text.count, b",[{")) > MAX_VALUES


def kind_of(value: object) -> str:
    """What a value is, in JSON's words; a number is named itself, all else may be long or private."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return repr(value)
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def deeper_than(value: object, levels: int) -> bool:
    """Whether arrays and objects nest more than so many levels deep. Without recursion, linear in the size."""
    level: list[object] = [[value]]
    for _ in range(levels + 1):
        level = [child for node in level for child in _children(node) if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
