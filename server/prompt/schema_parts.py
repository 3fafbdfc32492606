"""Reading parts of a JSON schema: references, bounds on numbers, fixed values."""

import math
from collections.abc import Mapping
from fractions import Fraction
from urllib.parse import unquote

from server.prompt.keywords import JsonObject, is_number

MAX_EXACT = 2**53  # whole numbers beyond are not the same to every reader of JSON
DECIMALS = 6  # that the compiler writes between bounds

Bounds = Mapping[str, int | float | Fraction]


def resolved(root: JsonObject, pointer: str) -> object:
    """What a JSON pointer in a URI fragment leads to. Raises LookupError."""
    if pointer != "#" and not pointer.startswith("#/"):
        raise LookupError(pointer)
    node: object = root
    for step in pointer.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdecimal():
            node = node[int(name)]
        elif isinstance(node, Mapping):
            node = node[name]
        else:
            raise LookupError(pointer)
    if not isinstance(node, Mapping | bool):
        raise LookupError(pointer)
    return node


def inclusive(bounds: Bounds) -> Bounds:
    """The same bounds on whole numbers."""
    lows = [math.ceil(bounds["minimum"])] if "minimum" in bounds else []
    lows += [math.floor(bounds["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in bounds else []
    highs = [math.floor(bounds["maximum"])] if "maximum" in bounds else []
    highs += [math.ceil(bounds["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in bounds else []
    return {**({"minimum": max(lows)} if lows else {}), **({"maximum": min(highs)} if highs else {})}


def both_sided(bounds: Bounds) -> Bounds:
    """One bound alone would let through numbers of any length, infinite to some who read them."""
    low = {} if bounds.keys() & {"minimum", "exclusiveMinimum"} else {"minimum": -MAX_EXACT}
    high = {} if bounds.keys() & {"maximum", "exclusiveMaximum"} else {"maximum": MAX_EXACT}
    return {**bounds, **low, **high} if bounds else bounds


def is_empty(bounds: Bounds) -> bool:
    """Whether no number with as many decimals as the compiler writes is within the bounds."""
    scaled = inclusive({keyword: Fraction(str(bound)) * 10**DECIMALS for keyword, bound in bounds.items()})
    return scaled.get("minimum", -math.inf) > scaled.get("maximum", math.inf)


def is_exact(value: object) -> bool:
    match value:
        case bool() | None | str():
            return True
        case int():
            return abs(value) <= MAX_EXACT
        case list():
            return all(map(is_exact, value))
        case Mapping():
            return all(map(is_exact, value.values()))
        case _:
            return is_number(value)


def type_names(said: Mapping[str, object]) -> list[str]:
    names = said.get("type", [])
    return [str(name) for name in (names if isinstance(names, list) else [names])]


def figure(value: object) -> int | float:
    assert isinstance(value, int | float)
    return value


def count(value: object) -> int | None:
    return None if value is None else int(figure(value))


def elements(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def members(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value
