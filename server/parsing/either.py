"""For turns that end in calls or in JSON, as a grammar has it."""

from collections.abc import Sequence

from server.parsing.base import Parser, ParserEvent
from server.parsing.plain import Verbatim

_JSON = frozenset('{["-0123456789')
_WORDS = ("true", "false", "null")


class CallsOrJson:
    """What begins as JSON does, and not as a call, is passed through as it is.

    trigger: begins every call; "" where that is not known.
    """

    def __init__(self, calls: Parser, trigger: str) -> None:
        self._calls = calls
        self._trigger = trigger
        self._chosen: Parser | None = None
        self._head = ""

    @property
    def failures(self) -> int:
        return self._calls.failures

    @property
    def cut(self) -> bool:
        return self._calls.cut

    def feed(self, text: str) -> Sequence[ParserEvent]:
        if self._chosen:
            return self._chosen.feed(text)
        self._head += text
        begun = self._head.lstrip()
        if any(known.startswith(begun) for known in (self._trigger, *_WORDS)):
            return []  # nothing yet, or what may become any of them
        return self._choose(self._is_json(begun))

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        begun = self._head.lstrip()
        head = [] if self._chosen else self._choose(json=not (begun and self._trigger.startswith(begun)))
        return [*head, *self._chosen.finish(cut_off=cut_off)] if self._chosen else head

    def _is_json(self, begun: str) -> bool:
        called = self._trigger and begun.startswith(self._trigger)
        return not called and (begun[0] in _JSON or begun.startswith(_WORDS))

    def _choose(self, json: bool) -> Sequence[ParserEvent]:
        self._chosen = Verbatim() if json else self._calls
        head, self._head = self._head, ""
        return self._chosen.feed(head)
