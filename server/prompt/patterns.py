"""Regular expressions of schemas, made into ones that the grammar compiler reads as they are meant.

The compiler takes every pattern for the whole string, ignores anchors and look-around inside of it, and leaves out
characters that JSON would have to escape. Here the anchors are resolved, and what would be ignored is refused, as is
what takes it seconds to compile.
"""

import importlib
import math
import re
from collections.abc import Iterator
from typing import Any

from server.prompt.pattern_text import Node, pattern_text

MAX_PATTERN = 512  # characters
MAX_EXPANDED = 400  # characters and classes once the counted repetitions are written out
MAX_NESTED = 100  # repetitions within repetitions, multiplied

# The standard library's own parser; its tree says what no expression about expressions can.
_parse: Any = importlib.import_module("re._parser").parse

_PATTERN = re.compile(r'Regex\("((?:\\.|[^"\\])*)"')
_ESCAPE = re.compile(r"\\(.)")
_POINT = re.compile(r"\\u\{(\w+)\}")
_UNSUPPORTED = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "GROUPREF": "back-references",
    "GROUPREF_EXISTS": "conditions",
    "ATOMIC_GROUP": "atomic groups",
    "POSSESSIVE_REPEAT": "possessive repetition",
    "AT": "anchors and word boundaries in the middle",
}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_UNWRITABLE = frozenset([*range(0x20), ord('"'), ord("\\")])  # only as an escape, which patterns here never produce


class PatternError(ValueError):
    """Why a pattern cannot be used."""


def whole_pattern(pattern: str) -> str:
    """A pattern for whole strings that matches where the given one is found, as JSON Schema means it.

    Raises:
        PatternError: it cannot be had, or not at a bounded cost.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"has {len(pattern)} characters, at most {MAX_PATTERN} are supported")
    if not pattern.isprintable() and min(map(ord, pattern)) < ord(" "):
        raise PatternError("has control characters")
    branches = [_unanchored(branch) for branch in _branches(pattern)]
    for branch in branches:
        _check(branch)
    return f"^(?:{'|'.join(branches)})$"


def exact(whole: str) -> str:
    """A whole pattern in the form that the compiler takes at its word; see `pattern_text`."""
    return f"^(?:{pattern_text(_parse(whole[1:-1]))})$"


def cost(whole: str) -> int:
    """Of a whole pattern. Grows as the time to compile it does: with the square of its length written out, and with
    what repetitions within repetitions leave open at each character."""
    tree = _parse(whole[1:-1])
    return _size(tree) ** 2 * int(_nested(tree))


def cost_within(grammar: str) -> int:
    """Of all the patterns in a grammar, which are in their exact form."""
    patterns = (_ESCAPE.sub(r"\1", body) for body in _PATTERN.findall(grammar))
    return sum(cost(_POINT.sub(lambda point: f"\\U{point[1]:0>8}", pattern)) for pattern in patterns)


def _branches(pattern: str) -> Iterator[str]:
    """The alternatives at the top level, where an anchor belongs to one of them."""
    start = depth = 0
    for token in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[(|)]", pattern, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == "|" and depth == 0:
            yield pattern[start : token.start()]
            start = token.end()
    yield pattern[start:]


def _unanchored(branch: str) -> str:
    begins, body = branch.startswith("^"), branch.removeprefix("^")
    slashes = len(body) - len(body.removesuffix("$").rstrip("\\")) - 1
    ends = body.endswith("$") and slashes % 2 == 0
    body = body[:-1] if ends else body
    return f"{'' if begins else '.*'}(?:{body}){'' if ends else '.*'}"


def _check(branch: str) -> None:
    try:
        tree = _parse(branch)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"cannot be read: {error}") from None
    if tree.state.flags & ~re.UNICODE or re.search(r"\(\?P|\(\?#|\{,|\[\^?\]|\\[AZ]", branch):
        raise PatternError("uses syntax that is not supported")
    if not _matches_something(tree):
        raise PatternError("needs a character that JSON escapes, which is not supported")
    if _size(tree) > MAX_EXPANDED:
        raise PatternError(f"has more than {MAX_EXPANDED} characters once its repetitions are written out")
    if _nested(tree) > MAX_NESTED:
        raise PatternError("has repetitions within repetitions beyond what can be compiled quickly")


def _children(node: Node) -> list[Any]:
    """The parts of a node, each a sequence of nodes."""
    operator, argument = str(node[0]), node[1]
    if operator in _UNSUPPORTED:
        raise PatternError(f"uses {_UNSUPPORTED[operator]}, which is not supported")
    if operator == "BRANCH":
        return list(argument[1])
    if operator == "SUBPATTERN":
        if argument[1] or argument[2]:
            raise PatternError("uses flags, which are not supported")
        return [argument[3]]
    return [argument[2]] if operator in _REPEATS else []


def _matches_something(sequence: Any) -> bool:
    return all(_has_a_match(node) for node in sequence)


def _has_a_match(node: Node) -> bool:
    operator, argument = str(node[0]), node[1]
    alive = [_matches_something(child) for child in _children(node)]
    if operator == "LITERAL":
        return argument not in _UNWRITABLE
    if operator == "IN":
        return _class_has_a_match(argument)
    if operator in _REPEATS:
        return argument[0] == 0 or alive[0]
    return any(alive) if alive else True


def _class_has_a_match(members: list[Node]) -> bool:
    kinds = {str(kind) for kind, _ in members}
    if kinds & {"NEGATE", "CATEGORY"}:
        return True
    return any(set(_span(member)) - _UNWRITABLE for member in members)


def _span(member: Node) -> range:
    kind, value = member
    return range(value, value + 1) if str(kind) == "LITERAL" else range(value[0], min(value[1], value[0] + 256) + 1)


def _size(sequence: Any) -> int:
    """Characters and classes, with counted repetitions written out."""
    return sum(_count(node) * max(1, sum(map(_size, _children(node)))) for node in sequence)


def _count(node: Node) -> int:
    """How often a node is written out; an endless repetition as often as it must occur."""
    if str(node[0]) not in _REPEATS:
        return 1
    least, most, _ = node[1]
    return int(most) if int(most) < 2**16 else max(1, int(least))


def _nested(sequence: Any) -> float:
    """The largest product of counts along one line of nesting; 1 where no repetition holds another one."""
    return max(map(_weight, sequence), default=1)


def _weight(node: Node) -> float:
    children = _children(node)
    inner = max(map(_deepest, children), default=1)
    if str(node[0]) not in _REPEATS or inner == 1:
        return max(map(_nested, children), default=1)
    shortest, _ = children[0].getwidth()
    return _count(node) * inner if shortest else math.inf


def _deepest(sequence: Any) -> int:
    return max((_count(node) * max(map(_deepest, _children(node)), default=1) for node in sequence), default=1)
