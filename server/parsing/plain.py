"""Parsers for turns in which the model has nothing to call, or in which nobody asks what it thinks."""

from collections.abc import Sequence

from server.parsing.base import ParserEvent, Reasoning, ReasoningParser
from server.records import Text


class SpeechOnly:
    """No calls. One that nobody offered is neither made nor spoken."""

    def __init__(self, parser: ReasoningParser) -> None:
        self._parser = parser

    @property
    def failures(self) -> int:
        return self._parser.failures

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[Text | Reasoning]:
        return [event for event in self._parser.feed(text) if isinstance(event, Text | Reasoning)]

    def finish(self) -> Sequence[Text | Reasoning]:
        return [event for event in self._parser.finish() if isinstance(event, Text | Reasoning)]


class Thoughtless:
    """No reasoning."""

    def __init__(self, parser: ReasoningParser) -> None:
        self._parser = parser

    @property
    def failures(self) -> int:
        return self._parser.failures

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[ParserEvent]:
        return [event for event in self._parser.feed(text) if not isinstance(event, Reasoning)]

    def finish(self) -> Sequence[ParserEvent]:
        return [event for event in self._parser.finish() if not isinstance(event, Reasoning)]


class Verbatim:
    """Every character, at once: for output that a grammar has shaped, where a tag can only be data inside a string."""

    failures = 0
    cut = False

    def feed(self, text: str) -> Sequence[ParserEvent]:
        return [Text(text)] if text else []

    def finish(self) -> Sequence[ParserEvent]:
        return []
