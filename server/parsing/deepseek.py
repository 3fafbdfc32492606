"""Calls in the manner of DeepSeek.

V3 and R1: `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name`, then the arguments in a fence of JSON, then
`<｜tool▁call▁end｜>`. V3.1: the name before the separator, the arguments behind it, no fence. All calls of a turn stand
between `<｜tool▁calls▁begin｜>` and `<｜tool▁calls▁end｜>`; a model that forgets those is understood.
"""

import re
from collections.abc import Iterable

from server.parsing.base import NewId, random_id
from server.parsing.headed import Headed

CALLS_BEGIN = "<｜tool▁calls▁begin｜>"
CALLS_END = "<｜tool▁calls▁end｜>"
CALL_BEGIN = "<｜tool▁call▁begin｜>"
CALL_END = "<｜tool▁call▁end｜>"
SEPARATOR = "<｜tool▁sep｜>"
_RESUME = (CALL_BEGIN, CALL_END, CALLS_END)
_SURPLUS = re.compile(r"[\s\]})`,;]*")


class DeepSeek(Headed):
    """unspoken: special tokens that mean nothing; they are dropped."""

    def __init__(self, unspoken: Iterable[str] = (), new_id: NewId = random_id) -> None:
        super().__init__((*unspoken, CALLS_BEGIN, SEPARATOR), _RESUME, ("{", *_RESUME), "<`", new_id)

    def _open(self, tag: re.Match[str]) -> int:
        if tag[0] == CALL_BEGIN:
            self._begin_heading()
        return super()._open(tag)

    def _headed(self, heading: str, mark: re.Match[str]) -> int:
        name = _name(heading)
        if mark[0] == "{":
            self._begin_named(name)
        elif mark[0] == CALL_END:
            self._call_without_arguments(name)
        else:
            self._fail()
        return mark.start()

    def _after_call(self, text: str, start: int) -> int:
        surplus = _SURPLUS.match(text, start)
        end = surplus.end() if surplus else start
        if end < len(text):
            self._read = self._skip if text[end] == "<" else self._speech
        return end


def _name(heading: str) -> str:
    """ "": the heading has no separator, or no name."""
    first, separator, second = heading.partition(SEPARATOR)
    behind = second.strip().split("\n", 1)[0].partition("`")[0].strip()
    return (behind if first.strip() == "function" and behind else first.strip()) if separator else ""
