"""Scripts: how a text is told to be in one, and what a spoken sentence in it is made of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Script:
    """One way of writing. Ranges of characters are in the notation of regular expressions, without brackets.

    letters: of its alphabet alone; by these a text is recognised.
    marks: what else stands inside a word: signs above and below the letters, joiners.
    stops: any of these ends a sentence; its own comes first.
    comma: with the space that follows it, if one does.
    word: characters of a usual word where none are set apart by spaces; 0 where they are.
    """

    name: str
    letters: str
    marks: str = ""
    stops: str = ".!"
    comma: str = ", "
    word: int = 0

    def count(self, text: str) -> int:
        """Letters of the script in a text."""
        return len(_pattern(self.letters).findall(text))


_HAN = "\u3400-\u4dbf\u4e00-\u9fff\u3005"
_DANDA, _JOINERS = "।.!", "\u200c\u200d"
_KANA = "\u3041-\u3096\u30a1-\u30fa\u30fc"
_ARABIC = "\u0621-\u063a\u0641-\u064a\u066e-\u06d3\u06d5\u0750-\u077f"

LATIN = Script(
    "latin", "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0250-\u02af\u1e00-\u1eff", "\u0300-\u036f\u02bb\u02bc"
)
JAPANESE = Script("japanese", _KANA + _HAN, stops="。！", comma="、", word=3)
HAN = Script("han", _HAN, stops="。！", comma="，", word=2)

SCRIPTS = (
    LATIN,
    Script("cyrillic", "\u0400-\u0481\u048a-\u052f", "\u0301"),
    Script("greek", "\u0386\u0388-\u03ff\u1f00-\u1fbc\u1fc2-\u1fcc\u1fd0-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ffc"),
    Script("arabic", _ARABIC, "\u064b-\u0652\u0670\u200c", stops=".۔!", comma="، "),
    Script("hebrew", "\u05d0-\u05ea", "\u05b0-\u05bd\u05bf\u05c1\u05c2\u05f3\u05f4"),
    Script(
        "devanagari",
        "\u0904-\u0939\u0958-\u0961\u0972-\u097f",
        "\u0900-\u0903\u093a-\u094f\u0962\u0963" + _JOINERS,
        stops=_DANDA,
    ),
    Script(
        "bengali",
        "\u0985-\u09b9\u09ce\u09dc-\u09e1\u09f0\u09f1",
        "\u0981-\u0983\u09bc-\u09cd\u09d7" + _JOINERS,
        stops=_DANDA,
    ),
    Script(
        "gurmukhi",
        "\u0a05-\u0a39\u0a59-\u0a5e\u0a72-\u0a74",
        "\u0a01-\u0a03\u0a3c-\u0a4d\u0a70\u0a71\u0a75",
        stops=_DANDA,
    ),
    Script("gujarati", "\u0a85-\u0ab9\u0ad0\u0ae0\u0ae1", "\u0a81-\u0a83\u0abc-\u0acd"),
    Script("odia", "\u0b05-\u0b39\u0b5c-\u0b61\u0b71", "\u0b01-\u0b03\u0b3c-\u0b57", stops=_DANDA),
    Script("tamil", "\u0b83-\u0bb9\u0bd0", "\u0b82\u0bbe-\u0bcd\u0bd7"),
    Script("telugu", "\u0c05-\u0c39\u0c58-\u0c61", "\u0c00-\u0c04\u0c3c-\u0c56\u200c"),
    Script("kannada", "\u0c85-\u0cb9\u0cde-\u0ce1", "\u0c81-\u0c83\u0cbc-\u0cd6" + _JOINERS),
    Script("malayalam", "\u0d05-\u0d3a\u0d54-\u0d61\u0d7a-\u0d7f", "\u0d00-\u0d03\u0d3b-\u0d4d\u0d57" + _JOINERS),
    Script("sinhala", "\u0d85-\u0dc6", "\u0d81-\u0d83\u0dca-\u0ddf" + _JOINERS),
    Script("ethiopic", "\u1200-\u135a", "\u135d-\u135f", stops="።!", comma="፣ "),
    Script("hangul", "\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"),
    Script("thai", "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46", "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e", comma=" ", word=5),
    Script(
        "lao",
        "\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf",
        "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece",
        comma=" ",
        word=5,
    ),
    Script("khmer", "\u1780-\u17b3\u17d7\u17dc", "\u17b4-\u17d3\u17dd\u200b", stops="។!", comma=" ", word=5),
    Script("burmese", "\u1000-\u102a\u103f\u1050-\u1055", "\u102b-\u103e\u1056-\u1059", stops="။!", comma=" ", word=6),
    JAPANESE,
    HAN,
)
BY_NAME = {script.name: script for script in SCRIPTS}


def script_of(texts: Iterable[str]) -> Script | None:
    """The script of the first text that has letters of one that is known."""
    for text in texts:
        end = text[-_READ:]
        counts = {LATIN: LATIN.count(end)} if end.isascii() else {script: script.count(end) for script in SCRIPTS}
        if any(counts.values()):
            return LATIN if len(counts) == 1 else _leading(counts)
    return None


_READ = 400  # characters at the end of a text


def _leading(counts: dict[Script, int]) -> Script:
    """Latin names stand in texts of all scripts. Chinese characters are Japanese where there is kana among them."""
    counts[LATIN] = -(-counts[LATIN] // _FOREIGN)
    if counts[JAPANESE] == counts[HAN]:
        counts[JAPANESE] = 0
    return max(reversed(counts), key=lambda script: counts[script])


_FOREIGN = 3  # Latin letters that weigh as much as one of another script


@cache
def _pattern(letters: str) -> re.Pattern[str]:
    return re.compile(f"[{letters}]")
