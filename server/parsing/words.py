"""The words of a text without what cannot be spoken."""

import re
from collections.abc import Callable

from server.parsing import marks
from server.parsing.json_scan import JsonScanner
from server.parsing.markdown import Markdown
from server.parsing.markers import Markers
from server.parsing.speech import Speech

_GLUED = re.compile(r"<[^\s\d=]")
_SILENT = " \t\r\n*_~`#>+-|=:!\\"  # what Markdown takes away somewhere, and blanks


class Words:
    """Takes the markup out of a text that comes in pieces; any split gives the same.

    Dropped are JSON objects and lists of such, tags, special tokens, fences, and what is left of any of these; between
    tags of a call or of a thought everything; behind the special token that begins a call everything; behind broken
    JSON the rest of the line.

    dropped: what looked like a call or like its data.
    """

    def __init__(self, style: Markdown | None) -> None:
        self.dropped = 0
        self._style = style
        self._speech = Speech()
        self._rest = ""  # may be the beginning of a mark
        self._braces = 0  # that were said and are open
        self._quoted = False
        self._last = ""  # character that was said, but for blanks and signs that the style takes away
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

    def finish(self, *, cut_off: bool = False) -> str:
        """cut_off: as for a parser."""
        self._stop(cut_off)
        self._out.append(self._speech.finish())
        return self._take()

    def _stop(self, cut_off: bool = False) -> None:
        """A single less-than sign may be meant so, unless more would have come; more of it is half of a mark."""
        meant = (self._rest == "<" and not cut_off) or (self._rest.startswith('"') and ":" not in self._rest)
        if meant and self._read == self._words:
            self._say_sign(self._rest[0])
            self._say(self._rest[1:])
        elif self._rest:
            self._speech.part()
        self._rest, self._read = "", self._words
        self._end_line()

    def _end_line(self) -> None:
        """What the style keeps back is said before what comes next, which begins another line."""
        if self._style:
            self._out.append(self._speech.feed(self._style.finish()))

    def _take(self) -> str:
        said = "".join(self._out)
        self._out.clear()
        return said

    def _say(self, text: str) -> None:
        self._last = (text.rstrip(_SILENT) if self._style else text.rstrip())[-1:] or self._last
        self._out.append(self._speech.feed(self._style.feed(text) if self._style else text))

    def _words(self, text: str, start: int) -> int:
        sign = marks.SIGN.search(text, start)
        end = sign.start() if sign else len(text)
        if end > start:
            self._say(text[start:end])
        return self._sign(text, end) if sign else end

    def _sign(self, text: str, start: int) -> int:
        mark = marks.MARK.match(text, start)
        if mark:
            self._part(mark)
            return self._open(mark)
        if marks.BEGUN.fullmatch(text, start):
            self._rest = text[start:]
            return len(text)
        half = marks.HALF.match(text, start)
        if half and not self._is_speech(half):
            return self._drop_half(half)
        if not (self._style and _GLUED.match(text, start)):  # without the signs between it could be a tag
            self._say_sign(text[start])
        return start + 1

    def _is_speech(self, half: re.Match[str]) -> bool:
        """Unlike `</has`, `<tool_call f`, and the end of JSON whose beginning was not written: `Pune"}`."""
        if half["call"]:
            return not marks.CALL.fullmatch(half["call"])
        return half["end"] is not None and (self._braces > 0 if "}" in half["end"] else self._quoted)

    def _drop_half(self, half: re.Match[str]) -> int:
        self._part(half)
        self.dropped += marks.CALL.fullmatch(half[0]) is not None
        return half.end()

    def _part(self, mark: re.Match[str]) -> None:
        """What formats words within a sentence leaves no gap, unless what is around it would make a new mark."""
        if self._last == "<" or not (mark["name"] and marks.FORMAT.fullmatch(mark["name"])):
            self._end_line()
            self._speech.part()

    def _say_sign(self, sign: str) -> None:
        self._braces += (sign == "{") - (sign == "}")
        self._quoted ^= sign == '"'
        if not (sign == '"' and self._last == "{"):  # what stood between is gone, and they would look like JSON
            self._say(sign)

    def _open(self, mark: re.Match[str]) -> int:
        if mark.lastgroup == "data":
            self._drop(self._value)
            self._data = JsonScanner()
            return mark.start()
        if mark.lastgroup == "member":
            self._drop(self._to_line_end)
        if mark.lastgroup in ("fence", "member"):
            return mark.end() - 1
        if mark.lastgroup == "tag":
            self._tag(mark["name"], alone=mark[0].startswith("</") or mark[0].endswith("/>"))
        elif marks.CALL.fullmatch(mark[0]) and not marks.ENDING.fullmatch(mark[0].strip("<|｜[]>")):
            self._drop(self._nothing)
        return mark.end()

    def _tag(self, name: str, alone: bool) -> None:
        if alone or not (marks.CALL.fullmatch(name) or marks.THOUGHT.fullmatch(name)):
            return
        self._end = Markers([f"</{name}>"])
        self.dropped += marks.CALL.fullmatch(name) is not None
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
