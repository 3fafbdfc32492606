"""Finding markers in a text that comes in pieces."""

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=256)
def _prepared(markers: tuple[str, ...]) -> tuple[re.Pattern[str], frozenset[str], frozenset[str], int]:
    """The pattern of any, the beginnings, their first characters, the longest's length. Every answer needs the same."""
    known = sorted(set(markers))
    beginnings = frozenset(marker[:size] for marker in known for size in range(1, len(marker)))
    if overlapping := beginnings.intersection(known):
        raise ValueError(f"markers that begin other markers: {sorted(overlapping)}")
    firsts = frozenset(marker[0] for marker in known)
    return re.compile("|".join(map(re.escape, known))), beginnings, firsts, max(map(len, beginnings), default=0)


class Markers:
    """A fixed set of strings. None may be the beginning of another one."""

    def __init__(self, markers: Iterable[str]) -> None:
        self._any, self._beginnings, self._firsts, self._longest = _prepared(tuple(markers))

    def search(self, text: str, start: int) -> re.Match[str] | None:
        """The first marker at or after `start`."""
        return self._any.search(text, start)

    def pending(self, text: str, start: int) -> int:
        """How many characters at the end of text[start:] may be the beginning of a marker."""
        size = min(self._longest, len(text) - start)
        if self._firsts.isdisjoint(text[len(text) - size :]):
            return 0
        sizes = range(size, 0, -1)
        return next((size for size in sizes if text[-size:] in self._beginnings), 0)
