"""The first link of the chain: reasoning, then calls, then speech."""

from collections.abc import Callable, Sequence

from server.parsing.base import Parser, ParserEvent
from server.parsing.markers import Markers
from server.parsing.speech import Speech
from server.records import Reasoning


class Thinking:
    """Keeps a block of reasoning at the head of the answer from the parser of the rest.

    Only there: further on, its tags may stand in the arguments of a call.

    opened: the prompt ends in the opening tag, so that the answer begins inside of the block.
    """

    def __init__(
        self, rest: Parser, opening: str = "<think>", closing: str = "</think>", *, opened: bool = False
    ) -> None:
        self._parser = rest
        self._opening = opening
        self._closing = closing
        self._opened = opened
        self._end = Markers([closing])
        self._space: list[str] = []  # before the first word
        self._kept = ""  # may be the beginning of a tag
        self._thought = Speech()
        self._thought.part()
        self._thoughts: list[ParserEvent] = []
        self._read: Callable[[str], str] = self._head

    @property
    def failures(self) -> int:
        return self._parser.failures

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[ParserEvent]:
        if self._read == self._through:
            return self._parser.feed(text)
        text, self._kept = self._kept + text, ""
        spoken = self._parser.feed(self._read(text))
        thoughts, self._thoughts = self._thoughts, []
        return [*thoughts, *spoken]

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        head = [*self._space, self._kept] if self._read == self._head and not self._opened else []
        return [*self._parser.feed("".join(head)), *self._parser.finish(cut_off=cut_off)]

    def _head(self, text: str) -> str:
        words = text.lstrip()
        self._space.append(text[: len(text) - len(words)])
        if words.startswith(self._opening):
            return self._enter(words.removeprefix(self._opening))
        if self._opening.startswith(words):
            self._kept = words
            return ""
        if self._opened:
            return self._enter(words)
        self._read = self._through
        return "".join((*self._space, words))

    def _enter(self, text: str) -> str:
        self._read = self._inside
        return self._inside(text)

    def _inside(self, text: str) -> str:
        closing = self._end.search(text, 0)
        end = closing.start() if closing else len(text) - self._end.pending(text, 0)
        thought = self._thought.feed(text[:end])
        if thought:
            self._thoughts.append(Reasoning(thought))
        if closing:
            self._read = self._behind
            return self._behind(text[closing.end() :])
        self._kept = text[end:]
        return ""

    def _behind(self, text: str) -> str:
        words = text.lstrip()
        if words:
            self._read = self._through
        return words

    def _through(self, text: str) -> str:
        return text
