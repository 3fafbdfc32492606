"""What the parsers of all families share: speech with tags in it, and one call after the other."""

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from server.parsing.answer import Answer
from server.parsing.arguments import ArgumentsReader
from server.parsing.base import NewId, ParserEvent
from server.parsing.markers import Markers
from server.parsing.tokens import THOUGHT

_LESS_THAN = "<"


class CallSource(Protocol):
    """Reads one call.

    name: None until it is known. arguments: None until they begin.
    done: the call is whole. broken: what follows cannot belong to a call. `feed` as `JsonScanner.feed`.
    """

    @property
    def name(self) -> str | None: ...

    @property
    def arguments(self) -> ArgumentsReader | None: ...

    @property
    def done(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def feed(self, text: str, start: int) -> int: ...

    def close(self) -> str:
        """Complete the call if it lacks brackets and nothing else. Returns what that adds to the arguments."""


class Machine:
    """A parser. The states are the methods that read on from a position and return the next one.

    Args:
        tags: what is not spoken; a family says in `_open` what they begin.
        resume: those of them at which reading goes on after a call that was broken.
        enders: characters that may stand where closing brackets are missing.
    """

    _thought_tags = THOUGHT

    def __init__(self, tags: Iterable[str], resume: tuple[str, ...], enders: str, new_id: NewId) -> None:
        self.failures = 0
        self.cut = False
        self._tags = Markers([*tags, *resume, *self._thought_tags])
        self._thought_end = Markers(self._thought_tags[1:])
        self._resume = Markers(resume)
        self._enders = enders
        self._answer = Answer(new_id)
        self._rest = ""  # may be the beginning of a tag
        self._call: CallSource | None = None
        self._announced = False  # the call that is being read
        self._read: Callable[[str, int], int] = self._speech

    def feed(self, text: str) -> list[ParserEvent]:
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            position = self._read(text, position)
        return self._answer.take()

    def finish(self, *, cut_off: bool = False) -> list[ParserEvent]:
        if self._read == self._speech:
            self._end_speech(cut_off)
        self._answer.finish()
        self.cut = self._expects_more
        return self._answer.take()

    @property
    def _expects_more(self) -> bool:
        """A call has begun that cannot be carried out as far as it has been read."""
        reading = self._read == self._one_call and self._call is not None
        return reading and not (self._announced and self._arguments_done)

    @property
    def _arguments_done(self) -> bool:
        arguments = self._call.arguments if self._call else None
        return arguments is not None and arguments.done

    def _speech(self, text: str, start: int) -> int:
        """Outside of any call."""
        tag = self._tags.search(text, start)
        end = tag.start() if tag else self._keep_beginning(self._tags, text, start)
        self._answer.say(text[start:end])
        if tag and tag[0] == self._thought_tags[0]:
            return self._begin_thought(tag.end())
        return self._open(tag) if tag else len(text)

    def _open(self, tag: re.Match[str]) -> int:
        """A tag in speech. Returns where to read on."""
        self._answer.part()
        return tag.end()

    def _begin_thought(self, start: int) -> int:
        self._answer.part()
        self._read = self._thought
        return start

    def _thought(self, text: str, start: int) -> int:
        """Reasoning, up to the tag that ends it; that one is read as a tag in speech."""
        tag = self._thought_end.search(text, start)
        end = tag.start() if tag else self._keep_beginning(self._thought_end, text, start)
        self._answer.think(text[start:end])
        if tag is None:
            return len(text)
        self._read = self._speech
        return tag.start()

    def _end_speech(self, cut_off: bool) -> None:
        """One character of a tag may be a less-than sign, unless more would have come; more of it is half a tag."""
        if self._rest == _LESS_THAN and not cut_off:
            self._answer.say(self._rest)
        elif self._rest:
            self._answer.part()

    def _begin_call(self, call: CallSource) -> None:
        self._call = call
        self._announced = False
        self._read = self._one_call

    def _one_call(self, text: str, start: int) -> int:
        if self._call is None:
            return start
        end = self._call.feed(text, start)
        self._report(self._call)
        if self._call.broken:
            self._repair(self._call, text[end : end + 1])
        if self._call.done or self._call.broken:
            self._end_call(self._call)
        return end

    def _report(self, call: CallSource) -> None:
        """What is certain about the call so far."""
        piece = call.arguments.take() if call.name and call.arguments else ""
        if piece:
            self._argue(call.name or "", piece)

    def _argue(self, name: str, piece: str) -> None:
        if not self._announced:
            self._announced = True
            self._answer.call(name)
        self._answer.argue(piece)

    def _repair(self, call: CallSource, following: str) -> None:
        """A tag where closing brackets should be."""
        added = call.close() if following and following in self._enders else ""
        if added:
            self._answer.argue(added)

    def _end_call(self, call: CallSource) -> None:
        if call.done and call.name and not self._announced:
            self._argue(call.name, "{}")
        self.failures += not (call.done and self._announced)
        self._read = self._after_call if call.done else self._skip

    def _after_call(self, text: str, start: int) -> int:
        """Behind a call."""
        self._read = self._speech
        return start

    def _skip(self, text: str, start: int) -> int:
        """Up to where reading can go on: broken markup cannot be told from speech."""
        tag = self._resume.search(text, start)
        if tag is None:
            self._keep_beginning(self._resume, text, start)
            return len(text)
        self._read = self._speech
        return tag.start()

    def _fail(self) -> None:
        self.failures += 1
        self._read = self._skip

    def _keep_beginning(self, tags: Markers, text: str, start: int) -> int:
        """Keep back what may be the beginning of a tag; returns where that begins."""
        end = len(text) - tags.pending(text, start)
        self._rest = text[end:]
        return end
