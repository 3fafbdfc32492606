"""The events of one answer, as a parser writes them down."""

from server.parsing.base import NewId, ParserEvent
from server.parsing.speech import Speech
from server.records import Arguments, Reasoning, Text, ToolCall


class Answer:
    """Numbers the calls and joins what is said in one go."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._speech = Speech()
        self._thought = Speech()
        self._events: list[ParserEvent] = []
        self._calls = 0

    def say(self, text: str) -> None:
        """Speech, unless it is empty."""
        self._append(Text, self._speech.feed(text))

    def think(self, text: str) -> None:
        """A piece of a thought, unless it is empty."""
        self._append(Reasoning, self._thought.feed(text))

    def part(self) -> None:
        """Something comes here that is not spoken, or the end of a thought."""
        self._speech.part()
        self._thought.part()

    def call(self, name: str) -> None:
        """A call begins."""
        self._events.append(ToolCall(self._calls, self._new_id(), name))
        self._calls += 1

    def argue(self, text: str) -> None:
        """A piece of the arguments of the call that began last."""
        self._events.append(Arguments(self._calls - 1, text))

    def finish(self) -> None:
        """The end of the text."""
        self._append(Text, self._speech.finish())

    def take(self) -> list[ParserEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def _append(self, kind: type[Text] | type[Reasoning], text: str) -> None:
        if not text:
            return
        last = self._events[-1] if self._events else None
        if isinstance(last, kind):
            self._events[-1] = kind(last.text + text)
        else:
            self._events.append(kind(text))
