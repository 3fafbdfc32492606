"""Nothing but speech, whatever the model writes.

The parser of a family knows its own markers. This stands behind it, for what a model borrows from other families and
for JSON that nobody asked for.
"""

from collections.abc import Iterable, Sequence

from server.parsing.base import Parser, ParserEvent
from server.parsing.markdown import Markdown
from server.parsing.words import Words
from server.records import Text, ToolCall


class Speakable:
    """A parser whose words can all be spoken.

    tools: calls were possible, so that what had to be dropped counts as a failure to call.
    strip_markdown: leave out the signs of Markdown as well.
    """

    def __init__(self, parser: Parser, *, tools: bool, strip_markdown: bool) -> None:
        self._parser = parser
        self._tools = tools
        self._words = Words(Markdown() if strip_markdown else None)

    @property
    def failures(self) -> int:
        return self._parser.failures + (self._words.dropped if self._tools else 0)

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[ParserEvent]:
        return list(self._spoken(self._parser.feed(text)))

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        events = list(self._spoken(self._parser.finish(cut_off=cut_off)))
        return [*events, *_text(self._words.finish(cut_off=cut_off))]

    def _spoken(self, events: Iterable[ParserEvent]) -> Iterable[ParserEvent]:
        for event in events:
            if isinstance(event, Text):
                yield from _text(self._words.feed(event.text))
                continue
            if isinstance(event, ToolCall):
                yield from _text(self._words.part())
            yield event


def _text(said: str) -> list[Text]:
    return [Text(said)] if said else []
