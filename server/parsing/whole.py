"""For families that another library's parser reads, and reads well only when it has the whole text.

Speech flows up to the first character that may begin a call in any known family. From there on everything waits for the
end of the text, when `Extract` reads all of it. So any split gives the same result, whatever that parser does; its
calls come whole, and speech behind such a character comes late. Neither the time it takes nor what it repairs is ours:
what it does not find is a failure, and where it completes a call that was cut short, that is seen only if the text ends
in neither speech nor a bracket.
"""

import json
import re
from collections.abc import Callable, Sequence

from server.parsing.answer import Answer
from server.parsing.base import NewId, ParserEvent, random_id
from server.parsing.headed import is_name
from server.parsing.markers import Markers

# A text; the speech in it, and its calls by name and arguments. None: it could not be read.
Extract = Callable[[str], tuple[str, Sequence[tuple[str, str]]] | None]

_SIGNS = Markers(["<", "[", "]", "{", "`", "functools", "function call"])
_MARKUP = re.compile(r"<[/|｜\w:!]|[\[\]]\W|\[[A-Z_]+\]|\[\w+\(|[{`]|functools|function call")
_CLOSING = frozenset(">]})`")
_LESS_THAN = "<"
_TAIL = 12  # characters by which speech is recognised


class WholeText:
    """A parser around `extract`, which is called once, at the end."""

    def __init__(self, extract: Extract, new_id: NewId = random_id) -> None:
        self.failures = 0
        self.cut = False
        self._extract = extract
        self._answer = Answer(new_id)
        self._said: list[str] = []
        self._held: list[str] = []
        self._rest = ""  # may be the beginning of a sign

    def feed(self, text: str) -> Sequence[ParserEvent]:
        if self._held:
            self._held.append(text)
            return []
        text, self._rest = self._rest + text, ""
        sign = _SIGNS.search(text, 0)
        end = sign.start() if sign else len(text) - _SIGNS.pending(text, 0)
        self._said.append(text[:end])
        self._answer.say(text[:end])
        self._hold(text[end:], found=sign is not None)
        return self._answer.take()

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        held = "".join(self._held)
        half = cut_off and held.endswith(_LESS_THAN)
        if held:
            self._read("".join(self._said), held[:-1] if half else held)
        else:
            self._answer.say(self._rest)
        if half:
            self._answer.part()
        self._answer.finish()
        return self._answer.take()

    def _say(self, text: str) -> None:
        """What the other parser calls speech, as far as it is."""
        markup = _MARKUP.search(text)
        self._answer.say(text[: markup.start()] if markup else text)

    def _hold(self, text: str, *, found: bool) -> None:
        if found:
            self._held.append(text)
        else:
            self._rest = text

    def _read(self, said: str, held: str) -> None:
        text = said + held
        content, calls = self._extract(text) or (text, ())
        self.cut = bool(calls) and not _ends_well(text, content)
        self._say(_behind(said, content))
        if calls or _MARKUP.search(held):
            self._answer.part()
        self.failures += not calls and _MARKUP.search(held) is not None
        for name, arguments in calls[:-1] if self.cut else calls:
            self._make(name, as_object(arguments))

    def _make(self, name: str, arguments: str | None) -> None:
        if arguments is None or not is_name(name):
            self.failures += 1
            return
        self._answer.call(name)
        self._answer.argue(arguments)


def as_object(arguments: str) -> str | None:
    """The text of an object; `{}` for nothing; None where it is not one."""
    try:
        value = json.loads(arguments or "null")
    except (ValueError, RecursionError):
        return None
    if isinstance(value, str):
        return as_object(value)
    return "{}" if value is None else arguments if isinstance(value, dict) else None


def _ends_well(text: str, content: str) -> bool:
    """In a bracket, as every call does, or in speech."""
    end = text.rstrip()[-_TAIL:]
    return end[-1:] in _CLOSING or content.rstrip().endswith(end)


def _behind(said: str, content: str) -> str:
    """`content` without what has been said; "" where it does not begin so."""
    if content.startswith(said):
        return content[len(said) :]
    head, whole = said.strip(), content.strip()
    return whole[len(head) :] if whole.startswith(head) else ""
