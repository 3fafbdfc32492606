"""Which wordings occur in a text, of all languages at once.

There are thousands of them, and a search for each would take a quarter of a second for a long system prompt. But each
begins with certain letters, and only a few begin with those of a word that is there: these alone are tried, where such
a word stands.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import product, takewhile
from re import _constants as ops  # type: ignore[attr-defined]  # not in its stubs: Python's own reading of a pattern
from re import _parser as parser  # type: ignore[attr-defined]  # likewise
from typing import Any

from server.prompt.filler.scripts import LATIN, script_of

_WORDS = re.compile(r"\w+")
_LETTERS = 8  # of a beginning


class Wording:
    """One regular expression, for text in lower case."""

    def __init__(self, pattern: str) -> None:
        self.pattern = unicodedata.normalize("NFC", pattern)
        self.in_words = not (script_of([pattern]) or LATIN).word
        """Whether the script tells words apart: then a wording begins with one."""

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w)(?:{self.pattern})" if self.in_words else self.pattern)

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Whatever it matches begins with one of these; they may be empty."""
        return frozenset(text[:_LETTERS] for text in _beginnings(parser.parse(self.pattern))[0])


class Text:
    """A text in lower case, and where its words are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._places: dict[str, list[int]] = defaultdict(list)
        for word in _WORDS.finditer(text):
            self._places[word[0]].append(word.start())
        self._sorted = sorted(self._places)

    def has(self, wording: Wording) -> bool:
        return any(True for _ in self.starts(wording))

    def starts(self, wording: Wording, ends: Iterable[int] = ()) -> Iterator[int]:
        """Where it begins, in no order. ends: of the parts of the text that it may not reach out of, ascending."""
        borders = list(ends)
        for beginning in wording.beginnings:
            for start in self._candidates(beginning, wording.in_words):
                after = bisect_right(borders, start)
                end = borders[after] if after < len(borders) else len(self.text)
                if wording.compiled.match(self.text, start, end):
                    yield start

    def _candidates(self, beginning: str, in_words: bool) -> Iterable[int]:
        word = _WORDS.match(beginning)
        if not in_words or word is None:
            return self._occurrences(beginning)
        if word.end() < len(beginning):  # the word ends there
            return self._places.get(word[0], ())
        first = bisect_left(self._sorted, beginning)
        words = takewhile(lambda each: each.startswith(beginning), self._sorted[first:])
        return (start for each in words for start in self._places[each])

    def _occurrences(self, beginning: str) -> Iterator[int]:
        start = self.text.find(beginning)
        while start >= 0:
            yield start
            start = self.text.find(beginning, start + 1)


def _beginnings(nodes: Iterable[tuple[Any, Any]]) -> tuple[set[str], bool]:
    """Of what a parsed expression matches, and whether they are all of it."""
    found = {""}
    for kind, what in nodes:
        if kind is ops.AT:
            continue
        more, whole = _beginnings_of(kind, what)
        found = {"".join(pair) for pair in product(found, more)}
        if not whole or min(map(len, found)) >= _LETTERS:
            return found, False
    return found, True


def _beginnings_of(kind: Any, what: Any) -> tuple[set[str], bool]:
    if kind is ops.LITERAL:
        return {chr(what)}, True
    if kind is ops.SUBPATTERN:
        return _beginnings(what[-1])
    if kind is ops.BRANCH:
        branches = [_beginnings(branch) for branch in what[1]]
        return set().union(*(found for found, _ in branches)), all(whole for _, whole in branches)
    if kind is ops.MAX_REPEAT and what[:2] == (0, 1):
        found, whole = _beginnings(what[2])
        return found | {""}, whole
    return {""}, False
