"""Parsed regular expressions back to text, in a form that the grammar compiler is exact about.

A span that crosses a length of UTF-8 lets it pass bytes that are no text, so here each has a gap there, at a character
that does not exist. What no JSON string holds as it is, and what is half of a surrogate pair, is in no class either.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Node = tuple[Any, Any]
Ranges = Sequence[tuple[int, int]]  # code points, first and last of each

_LAST = 0x10FFFF
_UNWRITABLE: Ranges = ((0, 0x1F), (ord('"'), ord('"')), (ord("\\"), ord("\\")), (0xD800, 0xDFFF))
_GAPS: Ranges = ((0x7FF, 0x7FF), (0xFFFF, 0xFFFF))
_LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = (
    *((0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_CATEGORIES = {"CATEGORY_DIGIT": _DIGITS, "CATEGORY_WORD": _WORD, "CATEGORY_SPACE": _SPACE}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_ENDLESS = 2**16
_LARGEST = 128


def pattern_text(nodes: Iterable[Node]) -> str:
    """The expression again, for a tree of which something that can be written matches. No groups capture."""
    return _sequence(nodes) or ""


def _sequence(nodes: Iterable[Node]) -> str | None:
    """None: nothing that can be written matches."""
    parts = []
    for node in nodes:
        if (part := _node(node)) is None:
            return None
        parts.append(part)
    return "".join(parts)


def _node(node: Node) -> str | None:
    operator, argument = str(node[0]), node[1]
    if operator == "BRANCH":
        return _choice(argument[1])
    if operator == "SUBPATTERN":
        return _choice([argument[3]])
    if operator in _REPEATS:
        return _repeat(*argument)
    return _class(_points(operator, argument))


def _choice(branches: Iterable[Any]) -> str | None:
    written = [branch for branch in map(_sequence, branches) if branch is not None]
    some = "|".join(filter(None, written))
    optional = "?" if "" in written else ""
    return f"(?:{some}){optional}" if some else "" if written else None


def _repeat(least: int, most: int, nodes: Any) -> str | None:
    body = _sequence(nodes)
    if not body:
        return "" if body == "" or least == 0 else None
    return "".join(f"(?:{body}){count}" for count in _counts(least, int(most)))


def _counts(least: int, most: int) -> Iterator[str]:
    """One repetition as several, none larger than the compiler can count. Of `+` it makes less than of `{1,}`."""
    while _LARGEST < most < _ENDLESS or least > _LARGEST:
        first = min(least, _LARGEST)
        yield f"{{{first},{_LARGEST}}}" if most < _ENDLESS else f"{{{first}}}"
        least, most = least - first, most - _LARGEST if most < _ENDLESS else most
    if most >= _ENDLESS:
        yield {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    else:
        yield "?" if (least, most) == (0, 1) else f"{{{least}}}" if least == most else f"{{{least},{most}}}"


def _points(operator: str, argument: Any) -> Ranges:
    if operator == "LITERAL":
        return ((argument, argument),)
    if operator == "NOT_LITERAL":
        return _without(((argument, argument),))
    if operator == "ANY":
        return _without(_LINE_ENDS)
    members = [member for member in argument if str(member[0]) != "NEGATE"]
    ranges = [span for member in members for span in _member(str(member[0]), member[1])]
    return _without(ranges) if len(members) < len(argument) else ranges


def _member(kind: str, value: Any) -> Ranges:
    if kind != "CATEGORY":
        return (value,) if kind == "RANGE" else ((value, value),)
    name = str(value)
    return _without(_CATEGORIES[name.replace("NOT_", "")]) if "NOT_" in name else _CATEGORIES[name]


def _without(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All code points but these, ascending."""
    left, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            left.append((start, low - 1))
        start = max(start, high + 1)
    return [*left, (start, _LAST)] if start <= _LAST else left


def _class(ranges: Ranges) -> str | None:
    writable = _without([*_without(ranges), *_UNWRITABLE, *_GAPS])
    spans = [_point(low) if low == high else f"{_point(low)}-{_point(high)}" for low, high in writable]
    if not spans:
        return None
    return spans[0] if spans == [_point(writable[0][0])] else f"[{''.join(spans)}]"


def _point(point: int) -> str:
    """ASCII alone: the compiler makes no automaton of a pattern that holds anything else."""
    char = chr(point)
    if re.match(r"\w| ", char, re.ASCII):
        return char
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\u{{{point:x}}}"
