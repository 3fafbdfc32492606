"""Whether a system prompt wants words before a tool call.

It does if it asks for them or declares a voice agent, and does not forbid them; no wish of its own is silence, as
OpenAI has it. Asking and forbidding are told sentence by sentence, by words of one language that stand together, as
`asking.toml` lists them.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from server.prompt.filler.scripts import LATIN, script_of

_TABLE = Path(__file__).with_name("asking.toml")
_KEPT = 256  # prompts whose verdict is remembered
_SENTENCES = re.compile(r"[.!?\n;:\u0964\u06d4\u061f\u1362\u3002\uff01\uff1f\uff1b\uff1a\u104b\u17d4]+")

Pattern = re.Pattern[str]


@dataclass(frozen=True)
class Wordings:
    """How one language says it. Compiled when first asked for: few of the seventy are."""

    listed: dict[str, list[str]]

    def asks(self, sentence: str) -> bool:
        return self._all(sentence, "tool", "before", "say") and not self._all(sentence, "unless")

    def forbids(self, sentence: str) -> bool:
        return self._all(sentence, "tool", "silent")

    def declares(self, text: str) -> bool:
        return self._all(text, "voice")

    @cached_property
    def _patterns(self) -> dict[str, Pattern]:
        return {kind: _any_of(patterns) for kind, patterns in self.listed.items()}

    def _all(self, text: str, *kinds: str) -> bool:
        return all(kind in self._patterns and self._patterns[kind].search(text) for kind in kinds)


class AskRule:
    """The rule, with an operator's own patterns over it. Thread-safe.

    asks, forbids: regular expressions; one that is found in a system prompt decides, forbidding before asking.
    shipped: whether the wordings of the table count where none of these is found.
    """

    def __init__(self, asks: Sequence[str] = (), forbids: Sequence[str] = (), shipped: bool = True) -> None:
        self._asks = [re.compile(pattern, re.IGNORECASE) for pattern in asks]
        self._forbids = [re.compile(pattern, re.IGNORECASE) for pattern in forbids]
        self._languages = [Wordings(row) for row in _read()] if shipped else []
        self._wanted = lru_cache(maxsize=_KEPT)(self._judged)
        self._declared = lru_cache(maxsize=_KEPT)(self._declares)

    def wanted(self, systems: Iterable[str]) -> bool:
        """Whether words are wanted before a call. systems: the system messages."""
        return self._wanted(unicodedata.normalize("NFC", "\n".join(systems)))

    def spoken(self, systems: Iterable[str]) -> bool:
        """Whether the answers are spoken, whatever is said about calls."""
        text = unicodedata.normalize("NFC", "\n".join(systems))
        return self._wanted(text) or self._declared(text)

    def _declares(self, text: str) -> bool:
        lowered = text.lower()
        return any(language.declares(lowered) for language in self._languages)

    def _judged(self, text: str) -> bool:
        for patterns, verdict in ((self._forbids, False), (self._asks, True)):
            if any(pattern.search(text) for pattern in patterns):
                return verdict
        lowered = text.lower()
        sentences = [sentence for sentence in _SENTENCES.split(lowered) if sentence.strip()]
        if any(language.forbids(sentence) for language in self._languages for sentence in sentences):
            return False
        asked = any(language.asks(sentence) for language in self._languages for sentence in sentences)
        return asked or self._declared(text)


def _read() -> Iterable[dict[str, list[str]]]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8")).values()


def _any_of(patterns: Iterable[str]) -> Pattern:
    """Any of them, from the beginning of a word where the script tells words apart."""
    folded = [unicodedata.normalize("NFC", pattern) for pattern in patterns]
    return re.compile(
        "|".join(pattern if (script_of([pattern]) or LATIN).word else rf"(?<!\w){pattern}" for pattern in folded)
    )
