"""One call as Hermes, Qwen and others write it: `{"name": …, "arguments": {…}}`, the keys in any order.

OpenAI's manner is read too: `{"type": "function", "function": {"name": …, "arguments": {…}}}`.
"""

import re
from collections.abc import Callable

from server.parsing.arguments import ArgumentsReader, arguments_reader
from server.parsing.json_scan import JsonScanner
from server.parsing.json_string import StringReader

_SPACE = re.compile(r"\s*")
_NAMES = ("name", "function")
_ARGUMENTS = ("arguments", "parameters")


class CallReader:
    """Reads a call. The states are the methods that read on from a position and return the next one.

    name: None until it is known. arguments: None until they begin.
    done: the call is whole. broken: what follows cannot belong to a call.
    Of two keys that mean the same the first counts; unknown ones are passed over.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.arguments: ArgumentsReader | None = None
        self.done = False
        self.broken = False
        self._key = ""
        self._within = False  # the object of the key "function"
        self._string = StringReader()  # the key, or the name
        self._passed_over = JsonScanner()
        self._read: Callable[[str, int], int] = self._between
        self._expect: Callable[[str], int] = self._brace

    def feed(self, text: str, start: int) -> int:
        """Read on. Returns where it stopped: the end of `text`, of the call, or what cannot belong to it."""
        while start < len(text) and not (self.done or self.broken):
            start = self._read(text, start)
        return start

    def close(self) -> str:
        """Complete the call if it lacks brackets and nothing else. Returns what that adds to the arguments."""
        if self.name is None:
            return ""
        reading = self.arguments if self._read == self._arguments else None
        added = reading.close() if reading else ""
        self.done = reading.done if reading else self._expect == self._comma
        return added

    # Between the tokens. What is expected there takes one character and returns 1, or leaves it and returns 0.

    def _between(self, text: str, start: int) -> int:
        space = _SPACE.match(text, start)
        end = space.end() if space else start
        return end + self._expect(text[end]) if end < len(text) else end

    def _brace(self, char: str) -> int:
        self.broken = char != "{"
        self._expect = self._key_or_end
        return 1

    def _key_or_end(self, char: str) -> int:
        return self._end_object() if char == "}" else self._begin_string(char, self._key_string)

    def _colon(self, char: str) -> int:
        self.broken = char != ":"
        self._expect = self._value
        return 0 if self.broken else 1

    def _value(self, char: str) -> int:
        if self._key == "function" and char == "{" and not self._within:
            self._within = True
            self._expect = self._key_or_end
            return 1
        if self._key in _NAMES and self.name is None:
            return self._begin_string(char, self._name_string)
        if self._key in _ARGUMENTS and self.arguments is None:
            return self._begin_arguments(char)
        self._passed_over = JsonScanner()
        self._read = self._other_value
        return 0

    def _comma(self, char: str) -> int:
        if char == ",":
            self._expect = self._key_or_end
            return 1
        self.broken = char != "}"
        return 0 if self.broken else self._end_object()

    def _end_object(self) -> int:
        self.done = not self._within
        self._within = False
        self._expect = self._comma
        return 1

    # Inside the tokens.

    def _begin_string(self, char: str, state: Callable[[str, int], int]) -> int:
        self.broken = char not in "\"'"
        self._string = StringReader()
        self._read = state
        return 0

    def _key_string(self, text: str, start: int) -> int:
        end = self._string.feed(text, start)
        if self._string.done:
            self._key = self._string.take()
            self._read, self._expect = self._between, self._colon
        return end

    def _name_string(self, text: str, start: int) -> int:
        end = self._string.feed(text, start)
        if self._string.done:
            self.name = self._string.take() or None
            self.broken = self.name is None
            self._end_value()
        return end

    def _begin_arguments(self, char: str) -> int:
        self.arguments = arguments_reader(char)
        self._read = self._arguments
        return 0

    def _arguments(self, text: str, start: int) -> int:
        if self.arguments is None:
            return start
        end = self.arguments.feed(text, start)
        if self.arguments.done:
            self._end_value()
        self.broken = self.arguments.broken
        return end

    def _other_value(self, text: str, start: int) -> int:
        end = self._passed_over.feed(text, start)
        self.broken = self._passed_over.broken
        if self._passed_over.done:
            self._end_value()
        return end

    def _end_value(self) -> None:
        self._read, self._expect = self._between, self._comma
