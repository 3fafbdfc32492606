"""Finding markers in a text that comes in pieces."""

import re
from collections.abc import Iterable


class Markers:
    """A fixed set of strings. None may be the beginning of another one."""

    def __init__(self, markers: Iterable[str]) -> None:
        known = sorted(set(markers))
        self._any = re.compile("|".join(map(re.escape, known)))
        self._beginnings = frozenset(marker[:size] for marker in known for size in range(1, len(marker)))
        self._longest = max(map(len, self._beginnings), default=0)
        if overlapping := self._beginnings.intersection(known):
            raise ValueError(f"markers that begin other markers: {sorted(overlapping)}")

    def search(self, text: str, start: int) -> re.Match[str] | None:
        """The first marker at or after `start`."""
        return self._any.search(text, start)

    def pending(self, text: str, start: int) -> int:
        """How many characters at the end of text[start:] may be the beginning of a marker."""
        sizes = range(min(self._longest, len(text) - start), 0, -1)
        return next((size for size in sizes if text[-size:] in self._beginnings), 0)
