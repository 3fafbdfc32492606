"""Calls whose name stands in a heading, before the object of the arguments."""

import re
from collections.abc import Iterable

from server.parsing.arguments import PlainArguments
from server.parsing.base import NewId
from server.parsing.machine import Machine
from server.parsing.markers import Markers

_NAME = re.compile(r"[\w.:/-]{1,128}")


def is_name(text: str) -> bool:
    """Whether a tool can be called that; prose where a name should be cannot."""
    return _NAME.fullmatch(text) is not None


class NamedCall:
    """A `CallSource` that begins with its arguments."""

    def __init__(self, name: str) -> None:
        self.name: str | None = name
        self.arguments = PlainArguments()

    @property
    def done(self) -> bool:
        return self.arguments.done

    @property
    def broken(self) -> bool:
        return self.arguments.broken

    def feed(self, text: str, start: int) -> int:
        return self.arguments.feed(text, start)

    def close(self) -> str:
        return self.arguments.close()


class Headed(Machine):
    """ends: what ends a heading; `_headed` says what it means."""

    def __init__(
        self, tags: Iterable[str], resume: tuple[str, ...], ends: Iterable[str], enders: str, new_id: NewId
    ) -> None:
        super().__init__(tags, resume, enders, new_id)
        self._heading_ends = Markers(ends)
        self._heading: list[str] = []

    @property
    def _expects_more(self) -> bool:
        return self._read == self._in_heading or super()._expects_more

    def _begin_heading(self) -> None:
        self._heading.clear()
        self._read = self._in_heading

    def _in_heading(self, text: str, start: int) -> int:
        mark = self._heading_ends.search(text, start)
        end = mark.start() if mark else self._keep_beginning(self._heading_ends, text, start)
        self._heading.append(text[start:end])
        return self._headed("".join(self._heading), mark) if mark else len(text)

    def _headed(self, heading: str, mark: re.Match[str]) -> int:
        """The heading is whole. Sets the state; returns where to read on."""
        raise NotImplementedError

    def _begin_named(self, name: str) -> None:
        if is_name(name):
            self._begin_call(NamedCall(name))
        else:
            self._fail()

    def _call_without_arguments(self, name: str) -> None:
        if is_name(name):
            self._announced = False
            self._argue(name, "{}")
            self._read = self._after_call
        else:
            self._fail()
