"""The arguments of a call, as the text of one JSON object."""

from typing import Protocol

from server.parsing.json_scan import JsonScanner
from server.parsing.json_string import StringReader


class ArgumentsReader(Protocol):
    """Reads one value from its first character on.

    done: the object is whole. broken: the value is not one that a call can have. `feed` as `JsonScanner.feed`.
    """

    @property
    def done(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def feed(self, text: str, start: int) -> int: ...

    def take(self) -> str:
        """The text of the object that has become certain since the last call."""

    def close(self) -> str:
        """The brackets that are missing, if that is all that is missing; the object is then whole."""


def arguments_reader(first: str) -> ArgumentsReader:
    """The reader for a value, by its first character."""
    return WrappedArguments() if first in "\"'" else PlainArguments()


class PlainArguments:
    """An object as it is; `{}` for null. Another value is read to its end: it may hold what looks like a tag."""

    def __init__(self) -> None:
        self.begun = False
        self._is_object = False
        self._closed = False
        self._scanner = JsonScanner()
        self._ready: list[str] = []

    @property
    def done(self) -> bool:
        return self._is_object and (self._closed or self._scanner.done)

    @property
    def broken(self) -> bool:
        return (self._scanner.done or self._scanner.broken) and not self.done

    def feed(self, text: str, start: int) -> int:
        end = self._scanner.feed(text, start)
        self._pass(self._scanner.take())
        return end

    def take(self) -> str:
        text = "".join(self._ready)
        self._ready.clear()
        return text

    def close(self) -> str:
        self._closed = self._scanner.complete_but_for_brackets
        return self._scanner.closing() if self.done else ""

    def _pass(self, text: str) -> None:
        if text and not self.begun:
            self.begun = True
            text = text.lstrip()
            text = "{}" if text == "null" else text
            self._is_object = text[0] == "{"
        if self._is_object:
            self._ready.append(text)


class WrappedArguments:
    """An object inside a string, unwrapped; `{}` for an empty string."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._string = StringReader()
        self._object = PlainArguments()
        self._missing = ""  # brackets, at the end

    def feed(self, text: str, start: int) -> int:
        end = self._string.feed(text, start)
        self._object.feed(self._string.take(), 0)
        if self._string.done:
            self._end()
        return end

    def take(self) -> str:
        text = self._object.take() + self._missing
        self._missing = ""
        return text

    def close(self) -> str:
        return ""  # the text ended inside the string

    def _end(self) -> None:
        self._object.feed(" ", 0)  # a word is known to be whole by the character after it
        if not (self._object.begun or self._object.broken):
            self._object.feed("null ", 0)
        self._missing = "" if self._object.broken else self._object.close()
        self.done = self._object.done
        self.broken = not self.done
