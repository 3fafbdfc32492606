"""Which requests of a batch share leading KV blocks.

vLLM's prefix cache gives two requests with the same beginning the same blocks. `Prefixes` mirrors the block tables on
the host and keeps, for each pair of requests, how many leading blocks are the same ones; a request is compared once,
when it joins. `find_segments` then groups a batch without looking at the tables again but for one column per split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MAX_DEPTH = 4  # levels of nesting: platform, product, customer, conversation

Pays = Callable[[int, int], bool]  # (requests, blocks): is it worth reading these blocks once for these requests?


@dataclass(frozen=True, slots=True)
class Segment:
    """Blocks [first, last) of the table, the same for all `rows` (int64, of the batch), which attend to all of them."""

    first: int
    last: int
    rows: np.ndarray

    @property
    def saved(self) -> int:
        """Blocks not read again."""
        return (len(self.rows) - 1) * (self.last - self.first)


class Prefixes:
    """Block tables of a number of slots, each of which holds one request at a time.

    tables: int32 [slots, width]; lengths: int64 [slots], in blocks; writes: int64 [slots], how often a slot was taken.
    common: int32 [slots, slots], leading blocks that are the same: never more than there are, fewer only after a block
    was freed by one slot and appended to another.
    """

    def __init__(self, slots: int, width: int) -> None:
        self.tables = np.zeros((slots, width), np.int32)
        self.lengths = np.zeros(slots, np.int64)
        self.writes = np.zeros(slots, np.int64)
        self.common = np.zeros((slots, slots), np.int32)

    def put(self, slot: int, blocks: Sequence[int] | np.ndarray) -> None:
        """A request takes a slot, with the blocks it has so far."""
        self.tables[slot, : len(blocks)] = blocks
        self.lengths[slot] = len(blocks)
        self.writes[slot] += 1
        common = self._compare(slot)
        self.common[slot], self.common[:, slot] = common, common

    def append(self, slot: int, blocks: Sequence[int] | np.ndarray) -> None:
        """The request in a slot gets more blocks. They are its own: nothing is compared."""
        begin = self.lengths[slot]
        self.tables[slot, begin : begin + len(blocks)] = blocks
        self.lengths[slot] += len(blocks)

    def _compare(self, slot: int) -> np.ndarray:
        """Common leading blocks of one slot with all. One comparison of rows for each fork on the slot's own way: who
        leaves another before or after this slot does is known from that other."""
        row, size = self.tables[slot], self.lengths[slot]
        common = np.zeros(len(self.lengths), np.int32)
        undecided = np.flatnonzero((self.lengths > 0) & (self.tables[:, 0] == row[0])) if size else np.zeros(0, int)
        undecided = undecided[undecided != slot]
        while len(undecided):
            lead, rest = undecided[0], undecided[1:]
            length = _common_length(self.tables[lead, : self.lengths[lead]], row[:size])
            known = self.common[lead, rest]
            common[lead], common[rest] = length, np.minimum(known, length)
            rest = rest[(known == length) & (self.lengths[rest] > length)] if length < size else rest[:0]
            undecided = rest[self.tables[rest, length] == row[length]] if len(rest) else rest
        common[slot] = size
        return common


def _common_length(a: np.ndarray, b: np.ndarray) -> int:
    size = min(len(a), len(b))
    differs = a[:size] != b[:size]
    return int(differs.argmax()) if differs.any() else size


def find_segments(
    prefixes: Prefixes, slots: np.ndarray, usable: np.ndarray, pays: Pays, least: int
) -> tuple[Segment, ...]:
    """The segments of a batch, each behind the one that it continues.

    slots: int [rows]; usable: int [rows], leading blocks that are full and lie before the row's query; least: requests
    that a segment has at the least. A stretch that does not pay for all who share it may still pay for some of them
    together with what follows. A row's segments join without a gap, from block 0 on.
    """
    found = []
    pending = [(rows, 1, 0, 0) for rows in _forks(prefixes, slots, usable, np.arange(len(slots)), 0, least)]
    for rows, known, first, depth in _drain(pending):
        common = prefixes.common[slots[rows[0]], slots[rows[1:]]].min(initial=int(usable[rows].min()))
        last = max(known, int(common))
        if pays(len(rows), last - first):
            found.append(Segment(first, last, rows))
            first, depth = last, depth + 1
        if depth < MAX_DEPTH:
            forks = _forks(prefixes, slots, usable, rows, last, least)
            pending += [(fork, last + 1, first, depth) for fork in forks]
    return tuple(found)


def _forks(
    prefixes: Prefixes, slots: np.ndarray, usable: np.ndarray, rows: np.ndarray, column: int, least: int
) -> list[np.ndarray]:
    """Of rows that share all blocks before a column: those that share this one too, by block."""
    rows = rows[usable[rows] > column]
    if len(rows) < least:
        return []
    blocks = prefixes.tables[slots[rows], column]
    order = blocks.argsort()
    ordered = blocks[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if len(rows) - len(edges) < least:  # so many forks that none can be large enough
        return []
    bounds = [0, *edges.tolist(), len(rows)]
    return [rows[order[a:b]] for a, b in pairwise(bounds) if b - a >= least]


def _drain(pending: list[tuple[np.ndarray, int, int, int]]) -> Iterator[tuple[np.ndarray, int, int, int]]:
    while pending:
        yield pending.pop()


def covered(segments: Sequence[Segment], rows: int) -> np.ndarray:
    """int64 [rows]: leading blocks of each row that segments cover."""
    blocks = np.zeros(rows, np.int64)
    for segment in segments:
        blocks[segment.rows] = np.maximum(blocks[segment.rows], segment.last)
    return blocks
