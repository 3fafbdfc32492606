"""Stretches of JSON that need next to no repair, read at once.

What a scanner reads token by token costs a microsecond each; most of a long argument is plain, and so shallow that a
regular expression knows it. All repetition is possessive: a stretch is read once, and once more for each level at which
it does not match.
"""

import re

DEPTH = 2  # brackets within a value
_BLANK = r"[ \t\n\r]*+"
_STRING = r"""(?:"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"|'[^'"\\\x00-\x1f]*+')"""
_NUMBER = r"-?(?:0|[1-9][0-9]{0,29}+)(?:\.[0-9]{1,30}+)?+(?:[eE][-+]?[0-9]{1,4}+)?+"
_SCALAR = rf"(?:{_STRING}|(?:{_NUMBER}|true|false|null|True|False|None)(?=[ \t\n\r,\]}})]))"
_WORDS = {"True": "true", "False": "false", "None": "null"}
_SPELLED = re.compile(r"""("(?:[^"\\]++|\\.)*+")|'([^']*+)'|True|False|None""")


def _listed(item: str, brackets: str) -> str:
    opening, closing = map(re.escape, brackets)
    return rf"{opening}{_BLANK}(?:{item}{_BLANK}(?:,{_BLANK}{item}{_BLANK})*+)?+{closing}"


def _value(depth: int) -> str:
    if depth == 0:
        return _SCALAR
    inner = _value(depth - 1)
    return rf"(?:{_SCALAR}|{_listed(_member(inner), '{}')}|{_listed(inner, '[]')})"


def _member(value: str) -> str:
    return rf"{_STRING}{_BLANK}:{_BLANK}{value}"


def spelled(run: str) -> str:
    """With Python's quotes and words as JSON writes them."""
    return _SPELLED.sub(lambda token: token[1] or _WORDS.get(token[0]) or f'"{token[2]}"', run)


# Further elements and members, each behind its comma, by the bracket that will close them.
FURTHER = {
    "]": re.compile(rf"(?:{_BLANK},{_BLANK}{_value(DEPTH)})++"),
    "}": re.compile(rf"(?:{_BLANK},{_BLANK}{_member(_value(DEPTH))})++"),
}
