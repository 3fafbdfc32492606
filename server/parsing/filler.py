"""Words before the first call of a turn: the model's own where it has some, the server's where it has none.

A sentence of the model's that repeats one of an earlier turn is continued, since it is half spoken before that shows:
"Let me check that" becomes "Let me check that, one moment please." Nothing is kept back for it but the stop, and what
would leave no room for the continuation of a long sentence that has been said before.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from server.parsing.base import Parser, ParserEvent
from server.records import FillerPlan, Text, ToolCall

_STOPS = ".!?…。！？।۔؟።។။ \n"


class Filled:
    """A parser for a turn that shall not call without a word. Whatever its text is split into, the words are the same.

    plan: what it has `at_once` has been said.
    on_phrase: called before a phrase is said.
    """

    def __init__(self, parser: Parser, plan: FillerPlan, on_phrase: Callable[[], None]) -> None:
        self._parser = parser
        self._plan = plan
        self._on_phrase = on_phrase
        self._echo = _Echo(plan)
        self._withheld: list[str] = []
        self._called = False

    @property
    def failures(self) -> int:
        return self._parser.failures

    @property
    def cut(self) -> bool:
        return self._parser.cut

    def feed(self, text: str) -> Sequence[ParserEvent]:
        return list(self._passed(self._parser.feed(text)))

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        events = list(self._passed(self._parser.finish(cut_off=cut_off)))
        if self._called:
            return events
        rest = "".join(self._withheld)
        return [*events, *_spoken(" " + rest if rest else self._echo.release())]

    def _passed(self, events: Iterable[ParserEvent]) -> Iterator[ParserEvent]:
        for event in events:
            if isinstance(event, ToolCall) and not self._called:
                self._called = True
                yield from _spoken(self._before(event))
            if not isinstance(event, Text) or self._called:
                yield event
            elif self._plan.at_once:
                self._withheld.append(event.text)  # one sentence is enough, if a call comes
            else:
                yield from _spoken(self._echo.feed(event.text))

    def _before(self, call: ToolCall) -> str:
        """What is left to say before the first call."""
        if self._plan.at_once:
            return ""
        if self._echo.worded or not self._plan.phrases:
            return self._echo.end()
        self._on_phrase()
        of_any = next(iter(self._plan.phrases.values()))  # for a tool that nobody offered
        return self._echo.release() + self._plan.phrases.get(call.name, of_any)


def _spoken(text: str) -> list[Text]:
    return [Text(text)] if text else []


class _Echo:
    """Listens for a sentence that has been said in this conversation."""

    def __init__(self, plan: FillerPlan) -> None:
        self._plan = plan
        self._bodies = {_body(text) for text in plan.said}
        self._rooms = {body: _room(body, plan) for body in self._bodies}
        self._text = ""
        self._given = 0  # characters of it
        self._new = False  # begins as nothing that was said: nor will it, however it goes on

    @property
    def worded(self) -> bool:
        """Whether there is anything in it that can be spoken."""
        return any(character.isalnum() for character in self._text)

    def feed(self, text: str) -> str:
        """What can be said now."""
        self._text += text
        if self._new:
            return self._give(len(self._text))
        body = _body(self._text)
        rooms = [room for said, room in self._rooms.items() if said.startswith(body)]
        self._new = not rooms
        return self._give(min(rooms, default=len(self._text)))

    def end(self) -> str:
        """The rest, before a call."""
        if _body(self._text) not in self._bodies:
            return self.release()
        begun = self._text[: self._given].rstrip(_STOPS)
        endings = [ending for ending in self._plan.endings if _body(begun + ending) not in self._bodies]
        return (endings or [*self._plan.endings, self._text[self._given :]])[0]

    def release(self) -> str:
        """The rest as it is."""
        return self._give(len(self._text))

    def _give(self, end: int) -> str:
        given, self._given = self._given, max(self._given, min(end, len(self._text)))
        return self._text[given : self._given]


def _body(text: str) -> str:
    """For comparison: small letters, without the stop, as long as it was up to there."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text.rstrip(_STOPS))


def _room(body: str, plan: FillerPlan) -> int:
    """How much of a sentence can be said so that there is room for an ending, in whole words if it has several."""
    words = body.split(" ")
    while len(words) > 1 and (len(words) > plan.words_to_end or len(" ".join(words)) > plan.characters_to_end):
        words.pop()
    return min(len(" ".join(words).rstrip(",、，،፣")), plan.characters_to_end)
