"""Parsers for turns in which the model has nothing to call."""

from collections.abc import Sequence

from server.parsing.base import Parser, ParserEvent
from server.records import Reasoning, Text


class SpeechOnly:
    """No calls. One that nobody offered is neither made nor spoken."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    @property
    def failures(self) -> int:
        return self._parser.failures

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[Text | Reasoning]:
        return [event for event in self._parser.feed(text) if isinstance(event, Text | Reasoning)]

    def finish(self, *, cut_off: bool = False) -> Sequence[Text | Reasoning]:
        return [event for event in self._parser.finish(cut_off=cut_off) if isinstance(event, Text | Reasoning)]


class Verbatim:
    """Every character, at once: for output that a grammar has shaped, where a tag can only be data inside a string."""

    failures = 0
    cut = False

    def feed(self, text: str) -> Sequence[ParserEvent]:
        return [Text(text)] if text else []

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        return []
