"""Calls in the manner of Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

Repaired: a block that is not closed, several calls or an array of them in one block, a code fence around a call,
missing and surplus closing brackets, and what `json_scan`, `arguments` and `call` can mend. A block that holds no call
is a failure, and none of it is spoken, from its opening tag to its closing one or to the end of the text: broken markup
cannot be told from speech.
"""

import re
from collections.abc import Callable, Iterable

from server.parsing.answer import Answer
from server.parsing.base import NewId, ParserEvent, random_id
from server.parsing.call import CallReader
from server.parsing.markers import Markers

_OPEN = "<tool_call>"
_CLOSE = "</tool_call>"
_BLOCK = Markers([_OPEN, _CLOSE])
_BLOCK_OR_CALL = Markers([_OPEN, _CLOSE, "{"])
_SURPLUS = re.compile(r"[\s\]})`,;]*")  # what may follow a call inside its block


class Hermes:
    """The states are the methods that read on from a position and return the next one.

    unspoken: special tokens and tags that mean nothing outside of a block; they are dropped.
    """

    def __init__(self, unspoken: Iterable[str] = (), new_id: NewId = random_id) -> None:
        self.failures = 0
        self.cut = False
        self._tags = Markers([_OPEN, _CLOSE, *unspoken])
        self._answer = Answer(new_id)
        self._rest = ""  # may be the beginning of a tag
        self._call = CallReader()
        self._announced = False  # the call that is being read
        self._found = False  # a call in this block
        self._read: Callable[[str, int], int] = self._speech

    def feed(self, text: str) -> list[ParserEvent]:
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            position = self._read(text, position)
        return self._answer.take()

    def finish(self) -> list[ParserEvent]:
        if self._read == self._speech:
            self._end_speech()
        self._answer.finish()
        self.cut = self._read == self._block or (self._read == self._one_call and not self._whole_request)
        return self._answer.take()

    @property
    def _whole_request(self) -> bool:
        """The call can be carried out, though its last brace has not been read."""
        return self._announced and self._call.arguments is not None and self._call.arguments.done

    def _speech(self, text: str, start: int) -> int:
        """Outside of any block."""
        tag = self._tags.search(text, start)
        end = tag.start() if tag else self._keep_beginning(self._tags, text, start)
        self._answer.say(text[start:end])
        if tag is None:
            return len(text)
        self._answer.part()
        if tag[0] == _OPEN:
            self._begin_block()
        return tag.end()

    def _end_speech(self) -> None:
        """One character of a tag may be a less-than sign; more of it is half a tag."""
        if len(self._rest) == 1:
            self._answer.say(self._rest)
        elif self._rest:
            self._answer.part()

    def _block(self, text: str, start: int) -> int:
        """Inside of a block, before its first call."""
        mark = _BLOCK_OR_CALL.search(text, start)
        if mark is None:
            self._keep_beginning(_BLOCK, text, start)
            return len(text)
        if mark[0] == "{":
            self._begin_call()
            return mark.start()
        if mark[0] == _CLOSE:
            self._end_block()
        return mark.end()

    def _one_call(self, text: str, start: int) -> int:
        end = self._call.feed(text, start)
        self._report()
        if self._call.broken:
            self._repair(text[end : end + 1])
        if self._call.done or self._call.broken:
            self._end_call()
        return end

    def _after_call(self, text: str, start: int) -> int:
        """Behind a call: another one, the end of the block, or speech where the model forgot to close it."""
        surplus = _SURPLUS.match(text, start)
        start = surplus.end() if surplus else start
        if start == len(text):
            return start
        if text[start] == "{":
            self._begin_call()
        else:
            self._read = self._skip if text[start] == "<" else self._speech
        return start

    def _skip(self, text: str, start: int) -> int:
        """Up to the next tag of a block."""
        tag = _BLOCK.search(text, start)
        if tag is None:
            self._keep_beginning(_BLOCK, text, start)
            return len(text)
        if tag[0] == _OPEN:
            self._begin_block()
        else:
            self._end_block()
        return tag.end()

    def _begin_block(self) -> None:
        self._found = False
        self._read = self._block

    def _end_block(self) -> None:
        self.failures += not self._found
        self._read = self._speech

    def _begin_call(self) -> None:
        self._found = True
        self._announced = False
        self._call = CallReader()
        self._read = self._one_call

    def _repair(self, following: str) -> None:
        """A tag where closing brackets should be."""
        added = self._call.close() if following == "<" else ""
        if added:
            self._answer.argue(added)

    def _end_call(self) -> None:
        if self._call.done and self._call.name and not self._announced:
            self._announce(self._call.name)
            self._answer.argue("{}")
        self.failures += not (self._call.done and self._announced)
        self._read = self._after_call if self._call.done else self._skip

    def _report(self) -> None:
        """What is certain about the call so far."""
        name, arguments = self._call.name, self._call.arguments
        piece = arguments.take() if name and arguments else ""
        if not piece:
            return
        if not self._announced:
            self._announce(name or "")
        self._answer.argue(piece)

    def _announce(self, name: str) -> None:
        self._announced = True
        self._answer.call(name)

    def _keep_beginning(self, tags: Markers, text: str, start: int) -> int:
        """Keep back what may be the beginning of a tag; returns where that begins."""
        end = len(text) - tags.pending(text, start)
        self._rest = text[end:]
        return end
