"""The table of phrases, and the choice among them."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from zlib import crc32

from server.prompt.filler.scripts import LATIN, Script, script_of

Kind = Literal["look_up", "action", "waiting"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_MOST_WORDS = 15  # of two in one
_TABLE = Path(__file__).with_name("phrases.toml")
_FIRST_KINDS: Mapping[Kind, tuple[Kind, ...]] = {
    "look_up": ("look_up", "waiting", "action"),
    "action": ("action", "waiting", "look_up"),
    "waiting": ("waiting",),  # where nobody knows what will be done, only waiting is true...
}


@dataclass(frozen=True)
class Phrases:
    """By language and kind."""

    table: Mapping[str, Mapping[Kind, Sequence[str]]]

    @property
    def scripts(self) -> Mapping[str, Script]:
        """In which each language is written."""
        return {language: script_of(rows["waiting"]) or LATIN for language, rows in self.table.items()}

    def choose(self, language: str, kind: Kind, said: Iterable[str], salt: str) -> str:
        """A phrase that is in none of the texts said before; of another kind, then two in one, if need be.

        salt: what the choice among the unsaid ones is drawn from.
        """
        spoken = "\n".join(said).casefold()
        rows = self.table[language]
        for kinds in (_FIRST_KINDS[kind][:1], _FIRST_KINDS[kind], KINDS):
            listed = [phrase for one in kinds for phrase in rows[one]]
            unsaid = [phrase for phrase in listed if bare(phrase) not in spoken]
            if unsaid:
                return unsaid[crc32(salt.encode()) % len(unsaid)]
        pairs = (pair for pair in _pairs(rows, kind) if bare(pair) not in spoken)
        return next(pairs, None) or min(rows[kind], key=lambda phrase: spoken.rfind(bare(phrase)))


def bare(phrase: str) -> str:
    """Without its stop, in lower case."""
    return phrase[:-1].casefold()


def within(phrase: str) -> str:
    """As it is written inside of a sentence."""
    return phrase if phrase.startswith(("I ", "I'")) else phrase[0].lower() + phrase[1:]


def _pairs(rows: Mapping[Kind, Sequence[str]], kind: Kind) -> Iterator[str]:
    """ "Just a second, please, let me look that up." Two phrases of a conversation in which each has been said."""
    comma = (script_of(rows["waiting"]) or LATIN).comma
    for first in rows["waiting"]:
        for second in rows[kind]:
            pair = first[:-1] + comma + within(second)
            if first != second and len(pair.split()) <= _MOST_WORDS:
                yield pair


def read_phrases() -> Phrases:
    return Phrases(tomllib.loads(_TABLE.read_text(encoding="utf-8")))
