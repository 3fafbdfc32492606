"""Whether a system prompt wants words before a tool call.

It does if it asks for them or declares a voice agent, and does not forbid them; no wish of its own is silence, as
OpenAI has it. Asking and forbidding are told sentence by sentence, by words of one language that stand together, as
`asking.toml` lists them.
"""

import re
import tomllib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

from server.prompt.filler.wordings import Text, Wording

_TABLE = Path(__file__).with_name("asking.toml")
_KEPT = 256  # prompts whose verdict is remembered
_MOST = 2**15  # characters read at either end: a book between them would take seconds
_SENTENCES = re.compile(r"[.!?\n;:\u0964\u06d4\u061f\u1362\u3002\uff01\uff1f\uff1b\uff1a\u104b\u17d4]+")


class Reading:
    """What one language says in a text. wordings: of that language, by kind."""

    def __init__(self, text: Text, ends: Sequence[int], wordings: Mapping[str, Sequence[Wording]]) -> None:
        self._text = text
        self._ends = ends
        self._wordings = wordings

    def asks(self) -> bool:
        return bool(self._sentences("tool", "before", "say") - self._having("unless"))

    def forbids(self) -> bool:
        return bool(self._sentences("tool", "silent"))

    def declares(self) -> bool:
        return any(self._text.has(wording) for wording in self._wordings.get("voice", ()))

    def _sentences(self, *kinds: str) -> set[int]:
        """Those that have one of each kind."""
        found = self._having(kinds[0])
        for kind in kinds[1:]:
            found = found and found & self._having(kind)
        return found

    def _having(self, kind: str) -> set[int]:
        wordings = self._wordings.get(kind, ())
        return {
            bisect_right(self._ends, start) for wording in wordings for start in self._text.starts(wording, self._ends)
        }


class AskRule:
    """The rule, with an operator's own patterns over it. Thread-safe.

    asks, forbids: regular expressions; one that is found in a system prompt decides, forbidding before asking.
    shipped: whether the wordings of the table count where none of these is found.
    """

    def __init__(self, asks: Sequence[str] = (), forbids: Sequence[str] = (), shipped: bool = True) -> None:
        self._asks = [re.compile(pattern, re.IGNORECASE) for pattern in asks]
        self._forbids = [re.compile(pattern, re.IGNORECASE) for pattern in forbids]
        self._languages = _languages() if shipped else ()
        self._wanted = lru_cache(maxsize=_KEPT)(self._judged)
        self._declared = lru_cache(maxsize=_KEPT)(self._declares)

    def wanted(self, systems: Iterable[str]) -> bool:
        """Whether words are wanted before a call. systems: the system messages."""
        return self._wanted(_read_of(systems))

    def spoken(self, systems: Iterable[str]) -> bool:
        """Whether the answers are spoken, whatever is said about calls."""
        text = _read_of(systems)
        return self._wanted(text) or self._declared(text)

    def _declares(self, text: str) -> bool:
        return any(reading.declares() for reading in self._readings(text))

    def _judged(self, text: str) -> bool:
        for patterns, verdict in ((self._forbids, False), (self._asks, True)):
            if any(pattern.search(text) for pattern in patterns):
                return verdict
        readings = self._readings(text)
        if any(reading.forbids() for reading in readings):
            return False
        return any(reading.asks() or reading.declares() for reading in readings)

    def _readings(self, text: str) -> list[Reading]:
        lowered = text.lower()
        ends = [end.start() for end in _SENTENCES.finditer(lowered)]
        indexed = Text(lowered)
        return [Reading(indexed, ends, language) for language in self._languages]


def _read_of(systems: Iterable[str]) -> str:
    text = "\n".join(systems)
    if len(text) > 2 * _MOST:
        text = f"{text[:_MOST]}\n{text[-_MOST:]}"
    return unicodedata.normalize("NFC", text)


@cache
def _languages() -> Sequence[Mapping[str, Sequence[Wording]]]:
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return [{kind: [Wording(each) for each in row[kind]] for kind in row} for row in table.values()]
