"""The work of one decode step, as arrays of fixed capacity that a CUDA graph's kernels read from device memory.

An item is one stretch of keys for one tile of requests; the kernel runs every item once for each KV head. It leaves a
partial result in one slot per request, and `parts` says which slots make up a row.

    items     int32 [items, 6]     table row, first and last position, start and count of `members`, first slot
    members   int32 [...]          rows of the batch; the first `rows` entries are 0, 1, 2, ...
    part_start, parts              the slots of row r: parts[part_start[r] : part_start[r + 1]]
    stock     int32 [rows]         1: no part here, the stock kernel does the whole row

Items of shared stretches come first. They take longest, so the short ones fill the gaps at the end; and tiles over the
same keys run side by side, so that all but the first find them in the L2 cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from kernels.shared_prefix_attention.grouping import MAX_DEPTH, Segment, covered

HEADER = 4  # int32: shared items, items, units taken by now (the kernels' own), padding
ITEM = 6
SLOTS_PER_ROW, SPARE_SLOTS = 16, 1024
OPEN = 2**30  # "to the row's end", which the kernel reads on the device: rows grow while the plan stays


@dataclass(frozen=True, slots=True)
class Capacity:
    """Sizes that are fixed when the server starts. slots: partial results of one row and KV head."""

    rows: int
    slots: int

    @classmethod
    def of(cls, rows: int) -> Self:
        """For 256 rows of 32 heads of 128 values 80 MiB of partial results. The spare ones are for batches of a few
        rows, which need many parts each to keep the chip busy."""
        return cls(rows, SLOTS_PER_ROW * rows + SPARE_SLOTS)

    def __post_init__(self) -> None:
        if self.slots < (MAX_DEPTH + 1) * self.rows:  # a part of each segment that a row may be in, and its own
            raise ValueError(f"{self.slots} slots are not {MAX_DEPTH + 1} for each of {self.rows} rows")

    @property
    def sizes(self) -> tuple[int, ...]:
        """int32 words of header, items, members, part_start, parts, stock, in this order, in one buffer."""
        return HEADER, ITEM * self.slots, self.rows + self.slots, self.rows + 1, self.slots, self.rows


@dataclass(frozen=True, slots=True)
class Cutting:
    """How finely to cut, see `launch.py`.

    units: programs that work side by side, per KV head; tile: requests in a tile of a shared stretch; keys: positions
    of one step of the inner loop; shared_cost: time of such a step in a shared tile, in those of an own one; least:
    steps that an item has at the least, so that its start and its partial result weigh little.
    """

    units: float
    tile: int
    keys: int
    shared_cost: float
    least: int


@dataclass(frozen=True, slots=True)
class Work:
    """See the module. `shared`: how many items, the first ones, are of shared stretches."""

    items: np.ndarray
    shared: int
    members: np.ndarray
    part_start: np.ndarray
    parts: np.ndarray
    stock: np.ndarray

    def write(self, buffer: np.ndarray, capacity: Capacity) -> None:
        """Fill int32 [sum(capacity.sizes)]. Rows behind the batch have no parts."""
        views = np.split(buffer, np.cumsum(capacity.sizes)[:-1])
        header, items, members, part_start, parts, stock = views
        header[:3] = self.shared, len(self.items), 0
        items[: self.items.size] = self.items.ravel()
        members[: len(self.members)] = self.members
        part_start[: len(self.part_start)], part_start[len(self.part_start) :] = self.part_start, len(self.parts)
        parts[: len(self.parts)] = self.parts
        stock[: len(self.stock)], stock[len(self.stock) :] = self.stock, 1


def plan(
    segments: Sequence[Segment], lengths: np.ndarray, block_size: int, cutting: Cutting, capacity: Capacity
) -> Work:
    """Items of about equal time, as many as keep all programs busy and the slots can hold.

    lengths: int [rows], positions of each row, its query's included.
    """
    own_first = covered(segments, len(lengths)) * block_size
    rows = np.flatnonzero(own_first)
    steps = _fair_share(segments, lengths[rows] - own_first[rows], block_size, cutting)
    while True:
        shared = [_cut_shared(segment, block_size, steps, cutting) for segment in segments]
        own = _cut_own(rows, own_first[rows], lengths[rows], steps * cutting.keys)
        work = _assemble(shared, own, segments, len(lengths))
        if len(work.parts) <= capacity.slots:
            return work
        steps *= 2


def _fair_share(segments: Sequence[Segment], own: np.ndarray, block_size: int, cutting: Cutting) -> int:
    """Steps of an own item when every program gets one: all the work, divided."""
    tiles = [-(-len(s.rows) // cutting.tile) * (s.last - s.first) * block_size for s in segments]
    total = (cutting.shared_cost * sum(tiles) + int(own.sum())) / cutting.keys
    return max(cutting.least, int(-(-total // cutting.units)))


def _cut_shared(segment: Segment, block_size: int, steps: int, cutting: Cutting) -> np.ndarray:
    """int64 [chunks * tiles, 6], with members and slots counted from the segment's first."""
    begin, end = segment.first * block_size, segment.last * block_size
    chunk = cutting.keys * max(cutting.least, int(steps / cutting.shared_cost))
    chunk = _even(end - begin, chunk, cutting.keys)
    first = np.arange(begin, end, chunk)
    start = np.arange(0, len(segment.rows), cutting.tile)
    count = np.minimum(cutting.tile, len(segment.rows) - start)
    items = np.empty((len(first), len(start), ITEM), np.int64)
    items[..., 0], items[..., 1], items[..., 2] = (
        segment.rows[0],
        first[:, None],
        np.minimum(first + chunk, end)[:, None],
    )
    items[..., 3], items[..., 4] = start, count
    items[..., 5] = start + np.arange(len(first))[:, None] * len(segment.rows)
    return items.reshape(-1, ITEM)


def _even(length: int, chunk: int, multiple: int) -> int:
    """The same number of chunks, but of about the same size."""
    return -(-length // (-(-length // chunk) * multiple)) * multiple


def _cut_own(rows: np.ndarray, begin: np.ndarray, end: np.ndarray, chunk: int) -> np.ndarray:
    chunks = np.maximum(1, -(-(end - begin) // chunk))
    index = np.arange(chunks.sum()) - np.repeat(chunks.cumsum() - chunks, chunks)
    items = np.empty((len(index), ITEM), np.int64)
    items[:, 0] = items[:, 3] = np.repeat(rows, chunks)
    items[:, 1] = np.repeat(begin, chunks) + index * chunk
    items[:, 2] = np.where(index + 1 == np.repeat(chunks, chunks), OPEN, items[:, 1] + chunk)
    items[:, 4], items[:, 5] = 1, np.arange(len(index))
    return items


def _assemble(shared: list[np.ndarray], own: np.ndarray, segments: Sequence[Segment], rows: int) -> Work:
    members, slots = [np.arange(rows)], 0
    owners = []
    for items, segment in zip(shared, segments, strict=True):
        items[:, 3] += sum(map(len, members))
        items[:, 5] += slots
        members.append(segment.rows)
        chunks = int(items[:, 4].sum()) // len(segment.rows)
        owners.append(np.tile(segment.rows, chunks))
        slots += chunks * len(segment.rows)
    own[:, 5] += slots
    owner = np.concatenate([*owners, own[:, 0]])
    count = np.bincount(owner, minlength=rows)
    return Work(
        items=np.concatenate([*shared, own]).astype(np.int32),
        shared=sum(map(len, shared)),
        members=np.concatenate(members).astype(np.int32),
        part_start=np.concatenate([[0], count.cumsum()]).astype(np.int32),
        parts=owner.argsort(kind="stable").astype(np.int32),
        stock=(count == 0).astype(np.int32),
    )
