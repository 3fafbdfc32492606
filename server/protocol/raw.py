"""Looking into JSON whose types are not known yet: what is not of the type asked for is not there."""

from server.protocol.types import MAX_EXACT


def dig(value: object, *keys: str) -> object:
    """The value at the end of a chain of members."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """An integer, also one that is written 5.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
