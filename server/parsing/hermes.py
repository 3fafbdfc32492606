"""Calls in the manner of Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

Repaired: a block that is not closed, several calls or an array of them in one block, a code fence around a call,
missing and surplus closing brackets, and what `json_scan`, `arguments` and `call` can mend. A block that holds no call
is a failure, and none of it is spoken, from its opening tag to its closing one or to the end of the text: broken markup
cannot be told from speech.
"""

import re
from collections.abc import Iterable

from server.parsing.base import NewId, random_id
from server.parsing.call import CallReader
from server.parsing.machine import Machine
from server.parsing.markers import Markers

OPEN = "<tool_call>"
CLOSE = "</tool_call>"
_SURPLUS = re.compile(r"[\s\]})`,;]*")  # what may follow a call inside its block


class Hermes(Machine):
    """unspoken: special tokens and tags that mean nothing outside of a block; they are dropped.

    starts: what begins a call of another kind than JSON, inside a block or without one; see `_mark`.
    """

    def __init__(
        self, unspoken: Iterable[str] = (), new_id: NewId = random_id, *, starts: tuple[str, ...] = ()
    ) -> None:
        super().__init__(unspoken, (OPEN, CLOSE, *starts), "<", new_id)
        self._block_marks = Markers([OPEN, CLOSE, "{", *starts])
        self._found = False  # a call in this block

    @property
    def _expects_more(self) -> bool:
        return self._read == self._block or super()._expects_more

    def _open(self, tag: re.Match[str]) -> int:
        self._answer.part()
        return self._mark(tag) if tag[0] != CLOSE else tag.end()

    def _block(self, text: str, start: int) -> int:
        """Inside of a block, before its first call."""
        mark = self._block_marks.search(text, start)
        if mark is None:
            self._keep_beginning(self._block_marks, text, start)
            return len(text)
        return self._mark(mark)

    def _mark(self, mark: re.Match[str]) -> int:
        if mark[0] == "{":
            self._found = True
            self._begin_call(CallReader())
            return mark.start()
        if mark[0] == OPEN:
            self._found = False
            self._read = self._block
        elif mark[0] == CLOSE:
            self.failures += not self._found
            self._read = self._speech
        return mark.end()

    def _after_call(self, text: str, start: int) -> int:
        """Behind a call: another one, the end of the block, or speech where the model forgot to close it."""
        surplus = _SURPLUS.match(text, start)
        start = surplus.end() if surplus else start
        if start == len(text):
            return start
        if text[start] == "{":
            self._begin_call(CallReader())
        else:
            self._read = self._skip if text[start] == "<" else self._speech
        return start
