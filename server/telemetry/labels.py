"""Label values from outside, held to a number."""

from collections.abc import Iterable

OTHER = "other"


class Bounded:
    """Passes the known values and the first few others; the rest becomes `other`.

    room: how many besides the known ones.
    """

    def __init__(self, known: Iterable[str] = (), room: int = 0) -> None:
        self._values = set(known)
        self._most = len(self._values) + room

    def __call__(self, value: str) -> str:
        if value in self._values:
            return value
        if len(self._values) >= self._most:
            return OTHER
        self._values.add(value)
        return value
