"""One Python literal, written as JSON while it is read."""

import json
import math
from ast import literal_eval

from server.parsing.json_scan import JsonScanner

_DIGITS = {"x": 2, "u": 4, "U": 8}  # of an escape


class PythonScanner(JsonScanner):
    """What `JsonScanner` reads, and Python's numbers, tuples and escapes of a code point. Sets are refused."""

    def _value(self, char: str) -> int:
        return self._open("[") if char == "(" else super()._value(char)

    def _element(self, char: str) -> int:
        return super()._element("]" if char == ")" else char)

    def _comma(self, char: str) -> int:
        tuple_ends = char == ")" and self._closers[-1] == "]"
        return super()._comma("]" if tuple_ends else char)

    def _word(self, token: str) -> str | None:
        return super()._word(token) or _number(token)

    def _escape(self, text: str, start: int) -> int:
        if text[start] not in _DIGITS:
            return super()._escape(text, start)
        self._token = "\\" + text[start]
        self._read = self._code_point
        return start + 1

    def _code_point(self, text: str, start: int) -> int:
        if not self._is_hex(text[start]):
            return self._end_escape("\\" + self._token, start)
        self._token += text[start]
        if len(self._token) == len("\\x") + _DIGITS[self._token[1]]:
            self._end_escape(_escaped(int(self._token[2:], 16)), start)
        return start + 1


def _number(token: str) -> str | None:
    try:
        value = literal_eval(token)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return json.dumps(value) if known else None


def _escaped(code_point: int) -> str:
    """As it is written inside a JSON string."""
    return json.dumps(chr(code_point) if code_point <= 0x10FFFF else "\ufffd")[1:-1]
