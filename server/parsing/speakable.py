"""Nothing but speech, whatever the model writes.

The parser of a family knows its own markers. This stands behind it, for what a model borrows from other families and
for JSON that nobody asked for.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from server.parsing.base import Parser, ParserEvent
from server.parsing.json_scan import JsonScanner
from server.parsing.markdown import Markdown
from server.parsing.markers import Markers
from server.parsing.speech import Speech
from server.records import Text, ToolCall

_BRACKETED = "INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK"
_NAME = r"[A-Za-z][\w:.-]{0,63}"
_VALUE = r'[^<>"]{0,64}'
_SIGN = re.compile(r"[<{\[`]")
_MARK = re.compile(
    rf"""(?P<data>\{{\s{{0,9}}["'}}]|\[\s{{0,9}}(?:\{{\s{{0,9}})?["'])"""
    rf"|(?P<token><[|｜][^\s<>|｜]{{1,64}}[|｜]>|</?s>|\[/?(?:{_BRACKETED})\])"
    rf"""|(?P<tag></?(?P<name>{_NAME})(?:=["']?{_VALUE}["']?|(?:\s{{1,4}}[\w:-]{{1,32}}="{_VALUE}"){{0,4}})\s{{0,4}}/?>)"""
    r"|(?P<fence>```[a-z]{0,12}(?![a-z]).)",
    re.DOTALL,
)
# Every proper beginning of a mark.
_BEGUN = re.compile(
    r"\{\s{0,9}|\[\s{0,9}(?:\{\s{0,9})?"
    r"|<[|｜](?:[^\s<>|｜]{1,64}[|｜]?)?"
    r"|\[/?[A-Z_]{0,16}"
    rf"""|</?(?:{_NAME}(?:=["']?{_VALUE}["']?|(?:\s{{1,4}}[\w:-]{{1,32}}="{_VALUE}"){{0,4}}"""
    rf"""(?:\s{{1,4}}(?:[\w:-]{{1,32}}(?:="?{_VALUE})?)?)?)\s{{0,4}}/?)?"""
    r"|`{1,2}|```[a-z]{0,12}"
)
_CALL = re.compile(r".*(?:tool|function|invoke|parameter|python|plugin|action).*", re.IGNORECASE)
_FORMAT = re.compile(r"a|b|code|em|i|mark|s|small|span|strong|sub|sup|u", re.IGNORECASE)  # within a sentence
_ENDING = re.compile(r".*end|/.*", re.IGNORECASE)
_THOUGHT = re.compile(r"(?:\w+:)?(?:think|thinking|thought|reasoning|reflection|scratchpad)", re.IGNORECASE)


class Words:
    """Takes the markup out of a text that comes in pieces; any split gives the same.

    Dropped are JSON objects and lists of such, tags, special tokens, fences; between tags of a call or of a thought
    everything; behind the special token that begins a call everything; behind broken JSON the rest of the line.

    dropped: what looked like a call or like its data.
    """

    def __init__(self, style: Markdown | None) -> None:
        self.dropped = 0
        self._style = style
        self._speech = Speech()
        self._rest = ""  # may be the beginning of a mark
        self._out: list[str] = []
        self._data = JsonScanner()
        self._end = Markers(())  # of a block
        self._read: Callable[[str, int], int] = self._words

    def feed(self, text: str) -> str:
        """What can be spoken now."""
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            position = self._read(text, position)
        return self._take()

    def part(self) -> str:
        """A call comes here. What was kept back before it."""
        self._stop()
        self._speech.part()
        return self._take()

    def finish(self) -> str:
        self._stop()
        self._out.append(self._speech.finish())
        return self._take()

    def _stop(self) -> None:
        """A single less-than sign may be meant so; more is half of a mark."""
        if self._rest == "<" and self._read == self._words:
            self._say(self._rest)
        elif self._rest:
            self._speech.part()
        self._rest, self._read = "", self._words
        if self._style:
            self._out.append(self._speech.feed(self._style.finish()))

    def _take(self) -> str:
        said = "".join(self._out)
        self._out.clear()
        return said

    def _say(self, text: str) -> None:
        self._out.append(self._speech.feed(self._style.feed(text) if self._style else text))

    def _words(self, text: str, start: int) -> int:
        sign = _SIGN.search(text, start)
        end = sign.start() if sign else len(text)
        if end > start:
            self._say(text[start:end])
        return self._sign(text, end) if sign else end

    def _sign(self, text: str, start: int) -> int:
        mark = _MARK.match(text, start)
        if mark:
            if not (mark["name"] and _FORMAT.fullmatch(mark["name"])):
                self._speech.part()
            return self._open(mark)
        if _BEGUN.fullmatch(text, start):
            self._rest = text[start:]
            return len(text)
        self._say(text[start])
        return start + 1

    def _open(self, mark: re.Match[str]) -> int:
        if mark.lastgroup == "data":
            self._drop(self._value)
            self._data = JsonScanner()
            return mark.start()
        if mark.lastgroup == "fence":
            return mark.end() - 1
        if mark.lastgroup == "tag":
            self._tag(mark["name"], alone=mark[0].startswith("</") or mark[0].endswith("/>"))
        elif _CALL.fullmatch(mark[0]) and not _ENDING.fullmatch(mark[0].strip("<|｜[]>")):
            self._drop(self._nothing)
        return mark.end()

    def _tag(self, name: str, alone: bool) -> None:
        if alone or not (_CALL.fullmatch(name) or _THOUGHT.fullmatch(name)):
            return
        self._end = Markers([f"</{name}>"])
        self.dropped += _CALL.fullmatch(name) is not None
        self._read = self._block

    def _drop(self, state: Callable[[str, int], int]) -> None:
        self.dropped += 1
        self._read = state

    def _value(self, text: str, start: int) -> int:
        end = self._data.feed(text, start)
        self._data.take()
        if self._data.done:
            self._read = self._words
        elif self._data.broken:
            self._read = self._to_line_end
        return end

    def _to_line_end(self, text: str, start: int) -> int:
        end = text.find("\n", start)
        if end < 0:
            return len(text)
        self._read = self._words
        return end

    def _block(self, text: str, start: int) -> int:
        mark = self._end.search(text, start)
        if mark is None:
            self._rest = text[len(text) - self._end.pending(text, start) :]
            return len(text)
        self._read = self._words
        return mark.end()

    def _nothing(self, text: str, start: int) -> int:
        return len(text)


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

    def finish(self) -> Sequence[ParserEvent]:
        events = list(self._spoken(self._parser.finish()))
        return [*events, *_text(self._words.finish())]

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
