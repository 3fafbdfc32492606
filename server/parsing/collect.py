"""The events of an answer as one message: what is not streamed equals what is."""

from collections.abc import Iterable
from dataclasses import dataclass

from server.records import Arguments, Event, Finish, PositionLogprobs, Reasoning, Text, ToolCall


@dataclass(frozen=True, slots=True)
class CollectedCall:
    """arguments: JSON text of an object; it does not parse where the call was not completed."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """content: None where the answer has calls and no words. finish: None where the events had none.

    reasoning: "" where the model did not think.
    """

    content: str | None
    calls: tuple[CollectedCall, ...]
    logprobs: tuple[PositionLogprobs, ...] = ()
    finish: Finish | None = None
    reasoning: str = ""


def collect(events: Iterable[Event]) -> Message:
    """Every event of one answer, in order."""
    collector = Collector()
    for event in events:
        collector.add(event)
    return collector.message()


class Collector:
    """For events that come one by one."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[ToolCall] = []
        self._arguments: list[list[str]] = []
        self._logprobs: list[PositionLogprobs] = []
        self._finish: Finish | None = None

    def add(self, event: Event) -> None:
        match event:
            case Text(text, logprobs):
                self._words.append(text)
                self._logprobs.extend(logprobs)
            case Reasoning(text):
                self._thoughts.append(text)
            case ToolCall():
                self._calls.append(event)
                self._arguments.append([])
            case Arguments(index, text):
                self._arguments[index].append(text)
            case Finish(_, _, logprobs):
                self._logprobs.extend(logprobs)
                self._finish = event

    def message(self) -> Message:
        calls = tuple(
            CollectedCall(call.id, call.name, "".join(pieces))
            for call, pieces in zip(self._calls, self._arguments, strict=True)
        )
        content = "".join(self._words)
        said = None if calls and not content else content
        return Message(said, calls, tuple(self._logprobs), self._finish, "".join(self._thoughts))
