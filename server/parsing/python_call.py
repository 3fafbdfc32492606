"""One call as Llama 3.2 and 4 write it: `name(key="value", …)`, the values Python literals."""

import json
import re
from collections.abc import Callable

from server.parsing.json_scan import JsonScanner
from server.parsing.python_scan import PythonScanner

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\w*")
_NAME = re.compile(r"[\w.-]*")


class KeywordArguments:
    """An `ArgumentsReader`, from behind the opening parenthesis on."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._word: list[str] = []
        self._lead = ""  # goes out with the value
        self._ready: list[str] = []
        self._any = False  # something was argued
        self._scanner: JsonScanner = PythonScanner()
        self._read: Callable[[str, int], int] = self._between
        self._expect: Callable[[str], int] = self._key_or_end

    def feed(self, text: str, start: int) -> int:
        while start < len(text) and not (self.done or self.broken):
            start = self._read(text, start)
        return start

    def take(self) -> str:
        text = "".join(self._ready)
        self._ready.clear()
        return text

    def close(self) -> str:
        if self._read == self._value:
            self.done = self._scanner.complete_but_for_brackets
            return self._scanner.closing() + "}" if self.done else ""
        self.done = self._read == self._between and self._expect == self._comma
        return "}" if self.done else ""

    # Between the tokens, as in `JsonScanner`.

    def _between(self, text: str, start: int) -> int:
        space = _SPACE.match(text, start)
        end = space.end() if space else start
        return end + self._expect(text[end]) if end < len(text) else end

    def _key_or_end(self, char: str) -> int:
        if char == ")":
            return self._end()
        self._word.clear()
        self._read = self._key
        return 0

    def _equals(self, char: str) -> int:
        self.broken = char != "="
        self._scanner = PythonScanner()
        self._read = self._value
        return 0 if self.broken else 1

    def _comma(self, char: str) -> int:
        if char == ")":
            return self._end()
        if char != ",":
            self.broken = True
            return 0
        self._expect = self._key_or_end
        return 1

    def _end(self) -> int:
        self._ready.append("}" if self._any else "{}")
        self.done = True
        return 1

    # Inside the tokens.

    def _key(self, text: str, start: int) -> int:
        end = _end_of(_WORD, text, start)
        self._word.append(text[start:end])
        if end < len(text):
            self._end_key("".join(self._word))
        return end

    def _end_key(self, key: str) -> None:
        self.broken = not key.isidentifier()
        self._lead = (", " if self._any else "{") + json.dumps(key, ensure_ascii=False) + ": "
        self._read, self._expect = self._between, self._equals

    def _value(self, text: str, start: int) -> int:
        end = self._scanner.feed(text, start)
        self._pass(self._scanner.take())
        self.broken = self._scanner.broken
        if self._scanner.done:
            self._read, self._expect = self._between, self._comma
        return end

    def _pass(self, piece: str) -> None:
        words = piece if self._lead == "" else piece.lstrip()
        if words:
            self._ready += (self._lead, words)
            self._lead, self._any = "", True


class PythonCall:
    """A `CallSource`."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.arguments: KeywordArguments | None = None
        self.broken = False
        self._name: list[str] = []

    @property
    def done(self) -> bool:
        return self.arguments is not None and self.arguments.done

    def feed(self, text: str, start: int) -> int:
        if self.arguments is None:
            start = self._read_name(text, start)
        if self.arguments is None:
            return start
        end = self.arguments.feed(text, start)
        self.broken = self.arguments.broken
        return end

    def close(self) -> str:
        return self.arguments.close() if self.arguments else ""

    def _read_name(self, text: str, start: int) -> int:
        end = _end_of(_NAME, text, start)
        self._name.append(text[start:end])
        if end == len(text):
            return end
        self.name = "".join(self._name).removesuffix(".call") or None  # `.call`: Llama's built-in tools
        self.broken = self.name is None or text[end] != "("
        if self.broken:
            return end
        self.arguments = KeywordArguments()
        return end + 1


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
