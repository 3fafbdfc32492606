"""Markdown as it is read aloud: the words without the signs around them."""

import re
from collections.abc import Callable

_LONGEST = 200  # characters of signs at the head of a line; more of them are no Markdown
_SIGNS = re.compile(rf"[-*_=:|~`+>#\t ]{{0,{_LONGEST}}}")
_BLOCK = re.compile(
    r"(?P<rule>[ \t]*(?:[-*_=][ \t]*){3,}\n)"
    r"|(?P<divider>[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?)?[ \t]*\n)"
    r"|(?P<fence>[ \t]*(?:`{3,}|~{3,}))"
    r"|(?P<nested>[ \t]*(?:#{1,6}[ \t]+|[-*+][ \t]+|>[ \t]?))"
    r"|(?P<row>[ \t]*\|[ \t]*)"
)
_LINK = re.compile(
    r"!?\[([^\[\]\n]{0,200})\](?:\([^()\n]{0,400}(?:\([^()\n]{0,100}\)[^()\n]{0,100})?\)|\[[^\[\]\n]{0,100}\])"
)
_LINK_BEGUN = re.compile(
    r"!|!?\[[^\[\]\n]{0,200}"
    r"(?:\](?:\([^()\n]{0,400}(?:\([^()\n]{0,100}(?:\)[^()\n]{0,100})?)?|\[[^\[\]\n]{0,100})?)?"
)
_EMPHASIS = re.compile(r"[*_~`]")
_INLINE = re.compile(r"[\\*_~`\[!\n]")
_INLINE_OF_ROW = re.compile(r"[\\*_~`\[!\n| \t]")
_CELL_END = re.compile(r"[ \t]*(\|[ \t]*)?")
_ESCAPED = frozenset("\\`*_{}[]()<>#+-.!|~")


class Markdown:
    """Text in, text out; any split gives the same. Linear: what it keeps back is bounded.

    Links become their text, rows of a table their cells with commas between, and rules and fences nothing. A sign
    between blanks or digits is none: `2 * 3` stays as it is.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._out: list[str] = []
        self._before = "\n"  # the character before
        self._row = False  # of a table
        self._fenced = False
        self._read: Callable[[str, int], int] = self._head

    def feed(self, text: str) -> str:
        """What can be said now."""
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            position = self._read(text, position)
        said = "".join(self._out)
        self._out.clear()
        return said

    def finish(self) -> str:
        """The end of a line; what comes next begins another one."""
        return self.feed("\n").removesuffix("\n")

    def _keep(self, text: str, start: int) -> int:
        self._rest = text[start:]
        return len(text)

    def _say(self, text: str) -> None:
        self._out.append(text)
        self._before = text[-1:] or self._before

    # The head of a line.

    def _head(self, text: str, start: int) -> int:
        signs = _SIGNS.match(text, start)
        end = signs.end() if signs else start
        if end == len(text) and end - start < _LONGEST:
            return self._keep(text, start)
        block = _BLOCK.match(text, start)
        self._read = self._line
        if block is None or (self._fenced and block.lastgroup != "fence"):
            return start
        return self._begin(block)

    def _begin(self, block: re.Match[str]) -> int:
        if block.lastgroup == "fence":
            self._fenced = not self._fenced
            self._read = self._to_line_end
        elif block.lastgroup == "row":
            self._row = True
        else:
            self._read = self._head
        return block.end()

    def _to_line_end(self, text: str, start: int) -> int:
        end = text.find("\n", start)
        if end < 0:
            return len(text)
        self._read = self._head
        return end + 1

    # The rest of it.

    def _line(self, text: str, start: int) -> int:
        sign = (_INLINE_OF_ROW if self._row else _INLINE).search(text, start)
        end = sign.start() if sign else len(text)
        if end > start:
            self._say(text[start:end])
        return self._sign(text, end) if sign else end

    def _sign(self, text: str, start: int) -> int:
        char = text[start]
        if char == "\n":
            self._say(char)
            self._row, self._read = False, self._head
            return start + 1
        if self._fenced:
            return self._literal(char, start)
        if char in "[!":
            return self._link(text, start)
        if char == "\\":
            return self._escape(text, start)
        return self._emphasis(text, start) if _EMPHASIS.match(char) else self._cell(text, start)

    def _literal(self, text: str, start: int) -> int:
        self._say(text)
        return start + len(text)

    def _link(self, text: str, start: int) -> int:
        link = _LINK.match(text, start)
        if link:
            self._say(_EMPHASIS.sub("", link[1]))
            return link.end()
        return self._keep(text, start) if _LINK_BEGUN.fullmatch(text, start) else self._literal(text[start], start)

    def _escape(self, text: str, start: int) -> int:
        if start + 1 == len(text):
            return self._keep(text, start)
        escaped = text[start + 1] in _ESCAPED
        self._say(text[start + 1] if escaped else text[start])
        return start + 1 + escaped

    def _emphasis(self, text: str, start: int) -> int:
        end = start
        while end < len(text) and end - start < _LONGEST and text[end] == text[start]:
            end += 1
        if end == len(text):
            return self._keep(text, start)
        run = text[start:end]
        return self._literal(run, start) if self._is_plain(run, text[end]) else end

    def _is_plain(self, run: str, after: str) -> bool:
        """Whether a run of signs is what it looks like."""
        before, sign = self._before, run[0]
        if sign == "`":
            return False
        if before.isspace() and after.isspace():
            return True
        if sign == "_":
            return before.isalnum() and after.isalnum()
        return len(run) != len("~~") if sign == "~" else before.isdigit() and after.isdigit()

    def _cell(self, text: str, start: int) -> int:
        """Blanks in the row of a table, and the bar behind them."""
        found = _CELL_END.match(text, start)
        end = found.end() if found else start
        if end == len(text):
            return self._keep(text, start)
        if not (found and found[1]):
            return self._literal(text[start:end], start)
        if text[end] != "\n":
            self._say(", ")
        return end
