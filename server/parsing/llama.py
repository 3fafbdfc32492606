"""Calls in the manner of Llama: nothing closes them, and often nothing opens them.

Llama 3.x writes `{"name": …, "parameters": {…}}`, several of them with `;` or a new line between, sometimes with
`<|python_tag|>` before them. Llama 3.2 and 4 write `[name(key="value"), …]`, Llama 4 sometimes between
`<|python_start|>` and `<|python_end|>`. Small models mix the two, so both are read wherever they stand.

What opens no call is speech: `{` unless a key follows that a call can have, `[` unless a call with keywords does. After
`<|python_tag|>` and after a call that was broken nothing is spoken: broken code cannot be told from speech.
"""

import re
from collections.abc import Iterable

from server.parsing.base import NewId, random_id
from server.parsing.call import CallReader
from server.parsing.candidate import Candidate, Found
from server.parsing.machine import Machine
from server.parsing.python_call import PythonCall

CODE = ("<|python_tag|>", "<|python_start|>")
_BRACKETS = ("{", "[")
_SURPLUS = re.compile(r"[\s;,\]})]*")  # what may follow a call
_SPACE = re.compile(r"[\s`]*")
_GAP = r"\s{0,64}"
_JSON = rf'\{{{_GAP}["\'](?:name|type|function|parameters|arguments)["\']'
_JSON_BEGUN = rf'\{{{_GAP}(?:["\']\w{{0,10}})?'
_PYTHON = rf"[A-Za-z0-9_-][\w.-]{{0,127}}\({_GAP}(?:\)|[A-Za-z_]\w{{0,127}}{_GAP}=)"
_PYTHON_BEGUN = rf"[A-Za-z0-9_-][\w.-]{{0,127}}(?:\({_GAP}(?:[A-Za-z_]\w{{0,127}}{_GAP})?)?"
_CALL = Candidate(
    rf"{_JSON}|\[{_GAP}(?:{_JSON}|{_PYTHON})", rf"{_JSON_BEGUN}|\[{_GAP}(?:{_JSON_BEGUN}|{_PYTHON_BEGUN})?"
)


class Llama(Machine):
    """unspoken: special tokens that mean nothing; they are dropped."""

    def __init__(self, unspoken: Iterable[str] = (), new_id: NewId = random_id) -> None:
        super().__init__((*unspoken, *_BRACKETS), CODE, "<;]", new_id)

    @property
    def _expects_more(self) -> bool:
        return self._read in (self._code, self._listed) or super()._expects_more

    def _open(self, tag: re.Match[str]) -> int:
        if tag[0] in _BRACKETS:
            return self._bracket(tag.string, tag.start())
        self._answer.part()
        if tag[0] in CODE:
            self._read = self._code
        return tag.end()

    def _bracket(self, text: str, start: int) -> int:
        """A bracket in speech."""
        found = _CALL.at(text, start)
        if found is Found.PERHAPS:
            self._rest = text[start:]
            return len(text)
        if found is Found.NO:
            self._answer.say(text[start])
            return start + 1
        self._answer.part()
        return self._begin(text, start)

    def _code(self, text: str, start: int) -> int:
        """Where nothing but a call or several can stand."""
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        return self._begin(text, start) if start < len(text) else start

    def _begin(self, text: str, start: int) -> int:
        if text[start] == "[":
            self._read = self._listed
            return start + 1
        return self._listed(text, start)

    def _listed(self, text: str, start: int) -> int:
        """Before a call."""
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        if start < len(text):
            self._item(text[start])
        return start

    def _item(self, char: str) -> None:
        if char == "]":
            self._read = self._ended
        else:
            self._begin_call(CallReader() if char == "{" else PythonCall())

    def _after_call(self, text: str, start: int) -> int:
        """Behind a call with keywords a comma tells that another one comes; one of JSON begins as in speech."""
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        if start == len(text):
            return start
        another = text[start] == "," and isinstance(self._call, PythonCall)
        self._read = self._listed if another else self._ended
        return start + another

    def _ended(self, text: str, start: int) -> int:
        surplus = _SURPLUS.match(text, start)
        end = surplus.end() if surplus else start
        if end < len(text):
            self._read = self._speech
        return end
