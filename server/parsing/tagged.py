"""Calls whose arguments stand each in a tag of its own, as plain text; see `dialects`. JSON is read in its place."""

import re
from collections.abc import Callable, Iterable, Mapping

from server.parsing.base import NewId, random_id
from server.parsing.dialects import Dialect
from server.parsing.headed import is_name
from server.parsing.hermes import CLOSE, OPEN, Hermes
from server.parsing.markers import Markers
from server.parsing.typed import Schema, TypedArguments

_SPACE = re.compile(r"\s*")
_QUOTES = " \t\r\n\"'"


class Tagged(Hermes):
    """schemas: by the name of the tool, of its arguments. unspoken: as for `Hermes`."""

    def __init__(
        self,
        dialect: Dialect,
        schemas: Mapping[str, Schema],
        unspoken: Iterable[str] = (),
        new_id: NewId = random_id,
    ) -> None:
        super().__init__((*unspoken, *dialect.tags), new_id, starts=(dialect.call,) if dialect.call else ())
        self._dialect = dialect
        self._schemas = schemas
        self._name = ""
        self._argument = ""
        self._pieces: list[str] = []  # of a name or a key
        self._arguments = TypedArguments(None)
        self._value_begun = False
        layout = ("\n" + dialect.value_end,) if dialect.own_lines else ()
        self._in_name = Markers([dialect.name_end, dialect.key, dialect.call_end, OPEN, CLOSE])
        self._in_call = Markers([dialect.key, dialect.call_end, OPEN, CLOSE])
        self._in_key = Markers([dialect.key_end, OPEN, CLOSE])
        self._before_value = Markers([dialect.value or dialect.key_end, OPEN, CLOSE])
        self._in_value = Markers([dialect.value_end, *layout, *dialect.value_ends])

    @property
    def _expects_more(self) -> bool:
        inside = (self._no_call, self._call_name, self._members, self._key, self._to_value, self._value)
        return self._read in inside or super()._expects_more

    def _block(self, text: str, start: int) -> int:
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        if self._dialect.call:
            return super()._block(text, start)
        if start < len(text) and text[start] in "<{":
            self._read = self._no_call
        elif start < len(text):
            self._begin_tagged()
        return start

    def _no_call(self, text: str, start: int) -> int:
        """Where a name should be: another mark follows, or what none can be made of."""
        return super()._block(text, start)

    def _mark(self, mark: re.Match[str]) -> int:
        if mark[0] != self._dialect.call:
            return super()._mark(mark)
        self._begin_tagged()
        return mark.end()

    def _begin_tagged(self) -> None:
        self._found = True
        self._announced = False
        self._pieces.clear()
        self._read = self._call_name

    # Inside of a call.

    def _call_name(self, text: str, start: int) -> int:
        mark = self._gather(self._in_name, text, start)
        if mark is None:
            return len(text)
        self._name = self._gathered()
        self._arguments = TypedArguments(self._schemas.get(self._name))
        if mark[0] == OPEN or not is_name(self._name):
            self._fail()
            return mark.start()
        self._read = self._members
        return mark.end() if mark[0] == self._dialect.name_end else mark.start()

    def _members(self, text: str, start: int) -> int:
        """Between the arguments."""
        mark = self._find(self._in_call, text, start)
        if mark is None:
            return len(text)
        if mark[0] == self._dialect.key:
            self._pieces.clear()
            self._read = self._key
            return mark.end()
        if mark[0] == OPEN:
            self._fail()
            return mark.start()
        self._arguments.close()
        self._flush()
        self._read = self._after_call
        return mark.start() if mark[0] == CLOSE else mark.end()

    def _key(self, text: str, start: int) -> int:
        mark = self._gather(self._in_key, text, start)
        return self._expect(mark, self._dialect.key_end, self._end_key) if mark else len(text)

    def _end_key(self) -> None:
        self._argument = self._gathered()
        self._read = self._to_value
        if not self._dialect.value:
            self._begin_value()

    def _to_value(self, text: str, start: int) -> int:
        mark = self._find(self._before_value, text, start)
        return self._expect(mark, self._dialect.value, self._begin_value) if mark else len(text)

    def _begin_value(self) -> None:
        self._arguments.begin(self._argument)
        self._flush()
        self._value_begun = False
        self._read = self._value

    def _value(self, text: str, start: int) -> int:
        mark = self._in_value.search(text, start)
        end = mark.start() if mark else self._keep_beginning(self._in_value, text, start)
        self._pass(text[start:end])
        if mark is None:
            return len(text)
        self._arguments.end()
        self._flush()
        self._read = self._members
        return mark.end() if mark[0].endswith(self._dialect.value_end) else mark.start()

    def _pass(self, piece: str) -> None:
        if piece and not self._value_begun:
            self._value_begun = True
            piece = piece.removeprefix("\n") if self._dialect.own_lines else piece
        if piece:
            self._arguments.feed(piece)
            self._flush()

    def _flush(self) -> None:
        piece = self._arguments.take()
        if piece:
            self._argue(self._name, piece)

    # Tags.

    def _expect(self, mark: re.Match[str], expected: str, then: Callable[[], None]) -> int:
        if mark[0] != expected:
            self._fail()
            return mark.start()
        then()
        return mark.end()

    def _find(self, marks: Markers, text: str, start: int) -> re.Match[str] | None:
        mark = marks.search(text, start)
        if mark is None:
            self._keep_beginning(marks, text, start)
        return mark

    def _gather(self, marks: Markers, text: str, start: int) -> re.Match[str] | None:
        mark = marks.search(text, start)
        end = mark.start() if mark else self._keep_beginning(marks, text, start)
        self._pieces.append(text[start:end])
        return mark

    def _gathered(self) -> str:
        return "".join(self._pieces).strip(_QUOTES)
