"""A batch's work list from step to step: made anew only when it has to be."""

import numpy as np

from kernels.shared_prefix_attention.gate import Gate
from kernels.shared_prefix_attention.grouping import Prefixes, Segment, find_segments
from kernels.shared_prefix_attention.plan import Capacity, Cutting, Work, plan

GROWTH = 256  # positions by which a row's last item may outgrow the others before the work is cut again


class Planner:
    """segments: of the work that was given last."""

    def __init__(self, gate: Gate, block_size: int, cutting: Cutting, capacity: Capacity) -> None:
        self._gate, self._block_size, self._cutting, self._capacity = gate, block_size, cutting, capacity
        self._slots = self._writes = self._lengths = np.zeros(0, np.int64)
        self.segments: tuple[Segment, ...] = ()

    def clear(self) -> Work | None:
        """Work of no row, for steps that nothing is known of; None as in `step`."""
        self._slots = self._writes = self._lengths = np.zeros(0, np.int64)
        if not self.segments:
            return None
        self.segments = ()
        return self._plan()

    def step(self, prefixes: Prefixes, slots: np.ndarray, lengths: np.ndarray) -> Work | None:
        """The work of a decode step, or None when the last one stands: the same requests, of about the same length.

        slots: int [rows], of `prefixes`; lengths: int64 [rows], positions with the query's.
        """
        writes = prefixes.writes[slots]
        if self._stands(slots, writes, lengths):
            return None
        before, self._slots, self._writes, self._lengths = self.segments, slots.copy(), writes, lengths.copy()
        usable = np.minimum((lengths - 1) // self._block_size, prefixes.lengths[slots])
        self.segments = find_segments(prefixes, slots, usable, self._pays, self._gate.least)
        return self._plan() if before or self.segments else None

    def _stands(self, slots: np.ndarray, writes: np.ndarray, lengths: np.ndarray) -> bool:
        if not np.array_equal(slots, self._slots) or not np.array_equal(writes, self._writes):
            return False
        grown = lengths - self._lengths
        return not len(grown) or bool(grown.min() >= 0 and grown.max() < GROWTH)

    def _pays(self, requests: int, blocks: int) -> bool:
        return self._gate.pays(requests, blocks * self._block_size)

    def _plan(self) -> Work:
        return plan(self.segments, self._lengths, self._block_size, self._cutting, self._capacity)

    @property
    def shared_rows(self) -> int:
        """Rows that read at least one segment."""
        return sum(len(segment.rows) for segment in self.segments if segment.first == 0)

    @property
    def saved_positions(self) -> int:
        """Keys and values, of each KV head, that a step does not read again."""
        return self._block_size * sum(segment.saved for segment in self.segments)
