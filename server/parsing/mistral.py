"""Calls in the manner of Mistral, behind `[TOOL_CALLS]`.

The older tokenisers write an array, `[{"name": …, "arguments": {…}}, …]`, the newer ones `name{…}` or `name[ARGS]{…}`,
some with `[CALL_ID]…` between, each call behind a marker of its own. A further call without one is read as well, so a
word in Latin letters right behind a call waits for the character after it.
"""

import re
from collections.abc import Iterable

from server.parsing.base import NewId, random_id
from server.parsing.call import CallReader
from server.parsing.candidate import Candidate, Found
from server.parsing.headed import Headed, NamedCall
from server.parsing.tokens import MISTRAL_THOUGHT

CALLS = "[TOOL_CALLS]"
_SPACE = re.compile(r"\s*")
_SURPLUS = re.compile(r"[\s,;]*")
_SURPLUS_OF_ARRAY = re.compile(r"[\s,;\]})]*")
_NAME = r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}"
_ANOTHER = Candidate(rf"{_NAME}(?:\{{|\[ARGS\]|\[CALL_ID\])", rf"{_NAME}(?:\[[A-Z_]{{0,7}})?")


class Mistral(Headed):
    """unspoken: special tokens that mean nothing; they are dropped."""

    _thought_tags = MISTRAL_THOUGHT

    def __init__(self, unspoken: Iterable[str] = (), new_id: NewId = random_id) -> None:
        super().__init__(unspoken, (CALLS,), ("{", CALLS), "[<", new_id)

    @property
    def _expects_more(self) -> bool:
        return self._read in (self._opened, self._array) or super()._expects_more

    def _open(self, tag: re.Match[str]) -> int:
        if tag[0] == CALLS:
            self._read = self._opened
        return super()._open(tag)

    def _opened(self, text: str, start: int) -> int:
        start = _end_of(_SPACE, text, start)
        if start < len(text):
            self._begin(text[start])
        return start + 1 if text[start : start + 1] == "[" else start

    def _begin(self, char: str) -> None:
        if char == "[":
            self._read = self._array
        elif char == "{":
            self._begin_call(CallReader())
        else:
            self._begin_heading()

    def _array(self, text: str, start: int) -> int:
        start = _end_of(_SPACE, text, start)
        if text[start : start + 1] == "{":
            self._begin_call(CallReader())
        elif start < len(text):
            self._fail()
        return start

    def _headed(self, heading: str, mark: re.Match[str]) -> int:
        if mark[0] == CALLS:
            self._fail()
        else:
            self._begin_named(heading.partition("[")[0].strip())
        return mark.start()

    def _after_call(self, text: str, start: int) -> int:
        if isinstance(self._call, NamedCall):
            return self._after_named(text, start)
        start = _end_of(_SURPLUS_OF_ARRAY, text, start)
        if text[start : start + 1] == "{":
            self._begin_call(CallReader())
        elif start < len(text):
            self._read = self._speech
        return start

    def _after_named(self, text: str, start: int) -> int:
        start = _end_of(_SURPLUS, text, start)
        found = _ANOTHER.at(text, start) if start < len(text) else None
        if found is Found.PERHAPS:
            self._rest = text[start:]
            return len(text)
        if found is Found.YES:
            self._begin_heading()
        elif found is Found.NO:
            self._read = self._speech
        return start


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
