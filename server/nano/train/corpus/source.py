"""The one place where chance enters the corpus: seeded, and split so that training never sees held-out words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "cr", "dr", "fl", "gr", "kl", "pr", "sh", "sl", "st", "th", "tr")
VOWELS = (*"aeiou", "ai", "ea", "ia", "oo", "ou")
CODAS = ("", "", "", *"lmnrstx", "ck", "nd", "rn", "sk", "th")
DEVANAGARI_ONSETS = (*"कखगचजटडतदनपबभमयरलवशसह",)
DEVANAGARI_VOWELS = ("", *"ािीुेो")
FRAGMENTS = 0.3


@cache
def _real_words() -> Sequence[str]:
    """Latin words of the tables, longer than four letters."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.rglob("*.toml")))
    return sorted({word for text in texts for word in re.findall(r"[a-z]{5,}", text.lower())})


@dataclass(frozen=True)
class Source:
    """Random choices for one conversation; `held_out` draws from the words and wordings kept away from training."""

    rng: Random
    held_out: bool = False

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[self.rng.randrange(len(options))]

    def side(self, options: Sequence[str]) -> Sequence[str]:
        """This side's part of a table: every sixth text is held out; tables of less than six are shared."""
        if len(options) < 6:
            return options
        return [text for i, text in enumerate(options) if (i % 6 == 4) == self.held_out]

    def wording(self, options: Sequence[str]) -> str:
        return self.pick(self.side(options))

    def word(self, script: str = "latin") -> str:
        """A lower-case pseudo-word that belongs to this side of the split."""
        while True:
            word = self._syllables(script)
            if self.owns(word):
                return word

    def owns(self, text: str) -> bool:
        """Whether a composed text belongs to this side of the split: one in five is held out."""
        return (crc32(text.encode()) % 5 == 0) == self.held_out

    def _fragment(self) -> str:
        word = self.pick(_real_words())
        length = self.rng.randint(2, min(6, len(word) - 1))
        start = self.pick((0, self.rng.randint(0, len(word) - length)))
        return word[start : start + length]

    def name(self, script: str = "latin") -> str:
        word = self.word(script)
        return word[0].upper() + word[1:]

    def digits(self, length: int) -> str:
        return "".join(self.pick("0123456789") for _ in range(length))

    def _syllables(self, script: str) -> str:
        """Of invented syllables; training also joins pieces of real words, so that it copies every token once."""
        latin = script == "latin"
        if latin and not self.held_out and self.chance(FRAGMENTS):
            return "".join(self._fragment() for _ in range(self.pick((1, 2))))
        parts = (ONSETS, VOWELS, CODAS) if latin else (DEVANAGARI_ONSETS, DEVANAGARI_VOWELS)
        count = self.pick((1, 2, 2) if latin else (2, 2, 3))
        return "".join(self.pick(part) for _ in range(count) for part in parts)
