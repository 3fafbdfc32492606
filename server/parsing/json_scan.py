"""One JSON value, read as it is written.

The text that comes out is the text that went in, except where that would not parse and what was meant is plain:
a raw control character or an unknown escape in a string, single quotes, a comma before a closing bracket, Python's
`True`, `False` and `None`.

At every moment, what came out so far and `closing()` after it are valid JSON. So a key waits for its value, a comma for
the next element, an escape for its end, and a number or a word for the character after it.
"""

import json
import re
from collections.abc import Callable

from server.parsing.json_run import DEPTH, FURTHER, spelled

_SPACE = re.compile(r"[ \t\n\r]+")
_SCALAR = re.compile(r"[-+.\w]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_PLAIN = {  # text of a string that needs no repair, by the quote around it
    '"': re.compile(r'(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+'),
    "'": re.compile(r"(?:[^'\"\\\x00-\x1f]++|\\[\"\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"),
}
_WORDS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_CLOSERS = {"{": "}", "[": "]"}
_HEX = frozenset("0123456789abcdefABCDEF")
_LONGEST_SCALAR = 128  # characters; JSON parsers refuse integers of some thousand digits
_DEEPEST = 128  # brackets; JSON parsers recurse
_SHORTEST_RUN = 32  # characters that are worth looking for a run among


class JsonScanner:
    """Reads a single value. The states are the methods that read on from a position and return the next one."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._closers: list[str] = []  # owed, innermost last
        self._ready: list[str] = []  # may go out
        self._waiting: list[str] = []  # goes out with the next value, or not at all
        self._quote = ""  # of the string being read
        self._is_key = False  # the string being read, or read last
        self._token = ""  # the beginning of an escape, a number or a word
        self._read: Callable[[str, int], int] = self._between
        self._expect: Callable[[str], int] = self._value

    def feed(self, text: str, start: int = 0) -> int:
        """Read on. Returns where it stopped: the end of `text`, of the value, or what cannot belong to it."""
        while start < len(text) and not (self.done or self.broken):
            start = self._read(text, start)
        return start

    def take(self) -> str:
        """What has become ready since the last call."""
        text = "".join(self._ready)
        self._ready.clear()
        return text

    @property
    def complete_but_for_brackets(self) -> bool:
        return self._expect == self._comma

    def closing(self) -> str:
        """What makes valid JSON of the text that came out, if any did."""
        quote = '"' if self._quote and not self._is_key else ""
        return quote + "".join(reversed(self._closers))

    # Between the tokens. What is expected there takes one character and returns 1, or leaves it and returns 0.

    def _between(self, text: str, start: int) -> int:
        if len(text) - start >= _SHORTEST_RUN and self._expect == self._comma:
            end = self._run(text, start)
            if end > start:
                return end
        space = _SPACE.match(text, start)
        if space is None:
            return start + self._expect(text[start])
        self._waiting.append(space[0])
        return space.end()

    def _run(self, text: str, start: int) -> int:
        """Elements or members without a fault; returns where they end."""
        run = FURTHER[self._closers[-1]].match(text, start) if len(self._closers) + DEPTH <= _DEEPEST else None
        if run is None:
            return start
        self._out(spelled(run[0]))
        return run.end()

    def _value(self, char: str) -> int:
        if char in _CLOSERS:
            return self._open(char)
        if char in _PLAIN:
            return self._begin_string(char, is_key=False)
        return self._change(self._scalar) if _SCALAR.fullmatch(char) else self._break()

    def _element(self, char: str) -> int:
        return self._close(char) if char == "]" else self._value(char)

    def _key(self, char: str) -> int:
        if char in _PLAIN:
            return self._begin_string(char, is_key=True)
        return self._close(char) if char == "}" else self._break()

    def _colon(self, char: str) -> int:
        if char != ":":
            return self._break()
        self._waiting.append(char)
        self._expect = self._value
        return 1

    def _comma(self, char: str) -> int:
        if char == self._closers[-1]:
            return self._close(char)
        if char != ",":
            return self._break()
        self._waiting.append(char)
        self._expect = self._key if self._closers[-1] == "}" else self._element
        return 1

    def _open(self, bracket: str) -> int:
        if len(self._closers) == _DEEPEST:
            return self._break()
        self._out(bracket)
        self._closers.append(_CLOSERS[bracket])
        self._expect = self._key if bracket == "{" else self._element
        return 1

    def _close(self, bracket: str) -> int:
        self._waiting = [text for text in self._waiting if text != ","]
        self._out(bracket)
        self._closers.pop()
        self._end_value()
        return 1

    def _end_value(self) -> None:
        self.done = not self._closers
        self._expect = self._comma

    def _break(self) -> int:
        self.broken = True
        return 0

    def _change(self, state: Callable[[str, int], int]) -> int:
        self._read = state
        return 0

    def _out(self, text: str) -> None:
        if self._waiting:
            self._ready += self._waiting
            self._waiting.clear()
        self._ready.append(text)

    # Numbers and words.

    def _scalar(self, text: str, start: int) -> int:
        run = _SCALAR.match(text, start)
        end = run.end() if run else start
        self._token += text[start:end]
        if len(self._token) > _LONGEST_SCALAR:
            self._break()
        elif end < len(text):
            self._end_scalar()
        return end

    def _end_scalar(self) -> None:
        word = self._word(self._token)
        if word is None:
            self._break()
            return
        self._out(word)
        self._token = ""
        self._read = self._between
        self._end_value()

    def _word(self, token: str) -> str | None:
        return token if _NUMBER.fullmatch(token) else _WORDS.get(token)

    # Strings.

    def _begin_string(self, quote: str, is_key: bool) -> int:
        self._quote, self._is_key = quote, is_key
        self._write('"') if is_key else self._out('"')
        self._read = self._string
        return 1

    def _write(self, text: str) -> None:
        (self._waiting if self._is_key else self._ready).append(text)

    def _string(self, text: str, start: int) -> int:
        plain = _PLAIN[self._quote].match(text, start)
        end = plain.end() if plain else start
        if end > start:
            self._write(text[start:end])
        if end == len(text):
            return end
        self._note(text[end])
        return end + 1

    def _note(self, char: str) -> None:
        if char == self._quote:
            self._end_string()
        elif char == "\\":
            self._token = char
            self._read = self._escape
        else:
            self._write(json.dumps(char)[1:-1])

    def _end_string(self) -> None:
        self._write('"')
        self._quote = ""
        self._read = self._between
        if self._is_key:
            self._expect = self._colon
        else:
            self._end_value()

    def _escape(self, text: str, start: int) -> int:
        char = text[start]
        if char == "u":
            self._token += char
            self._read = self._code_unit
            return start + 1
        if char in '"\\/bfnrt':
            return self._end_escape("\\" + char, start + 1)
        if char == "'":
            return self._end_escape(char, start + 1)
        return self._end_escape("\\\\", start)

    def _code_unit(self, text: str, start: int) -> int:
        if not self._is_hex(text[start]):
            return self._end_escape("\\" + self._token, start)
        self._token += text[start]
        if len(self._token) == len("\\uXXXX"):
            self._end_escape(self._token, start)
        return start + 1

    @staticmethod
    def _is_hex(char: str) -> bool:
        return char in _HEX

    def _end_escape(self, meant: str, position: int) -> int:
        self._write(meant)
        self._token = ""
        self._read = self._string
        return position
