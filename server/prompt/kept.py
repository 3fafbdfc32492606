"""A cache of grammars."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock


@dataclass(frozen=True, slots=True)
class Compilable:
    """EBNF, and a measure of what it takes to compile it: its bytes for a small vocabulary, and its patterns."""

    text: str
    size: int


class Kept:
    """Grammars by what they are made of; the least recently used are forgotten. Thread-safe.

    limit: characters of all together.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._grammars: OrderedDict[bytes, Compilable] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: bytes) -> bool:
        return _digest(key) in self._grammars

    def get(self, key: bytes, make: Callable[[], Compilable]) -> Compilable:
        """The grammar of that key, made if need be; what `make` raises is not kept."""
        digest = _digest(key)
        with self._lock:
            if digest in self._grammars:
                self._grammars.move_to_end(digest)
                return self._grammars[digest]
        grammar = make()
        with self._lock:
            if digest not in self._grammars:
                self._grammars[digest] = grammar
                self._room -= len(grammar.text)
            while self._room < 0:
                self._room += len(self._grammars.popitem(last=False)[1].text)
        return grammar


def _digest(key: bytes) -> bytes:
    """A key may be long, as schemas are; nobody finds two of one digest."""
    return blake2b(key, digest_size=32).digest()
