"""The ids of texts that were read before."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

_BYTES_OF_AN_ID = 36  # an integer of Python's and the pointer to it
_BYTES_OF_AN_ENTRY = 300

Ids = Sequence[int]


class Remembered:
    """Token ids by what they are the ids of. The least recently used are forgotten. Thread-safe.

    limit: bytes of all together, roughly.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._known: OrderedDict[tuple[str | None, int, str], Ids] = OrderedDict()
        self._lock = Lock()

    def get(self, owner: str | None, text: str, place: int, read: Callable[[str], Ids]) -> Ids:
        """The ids of a text, read if need be; what `read` raises is not kept.

        owner: nobody can tell by the time it takes what somebody else has sent.
        place: the same text may read differently in another one.
        """
        key = (owner, place, text)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        ids = read(text)
        with self._lock:
            if key not in self._known:
                self._known[key] = ids
                self._room -= _size(text, ids)
            while self._room < 0:
                (_, _, forgotten), old = self._known.popitem(last=False)
                self._room += _size(forgotten, old)
        return ids


def _size(text: str, ids: Ids) -> int:
    return len(text) * (1 if text.isascii() else 4) + _BYTES_OF_AN_ID * len(ids) + _BYTES_OF_AN_ENTRY
