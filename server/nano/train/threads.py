"""Sharing a small machine: two threads when nobody else wants the cores, one when somebody does.

A step's threads wait for one another, so one thread squeezed by others would hold back all.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

TICKS = 100  # of /proc/stat, per second and core
BUSY_CORES = 0.35


@dataclass
class PoliteThreads:
    """Sets torch's thread count by what others used since the last call; for a process at a nice value above 0."""

    cores: int
    busy: float = 0.0  # ticks of other processes at the last call
    clock: float = 0.0  # seconds

    def adjust(self, now: float) -> None:
        busy = _busy_ticks()
        if busy is None or now <= self.clock:
            return
        others = (busy - self.busy) / TICKS / (now - self.clock)
        self.busy, self.clock = busy, now
        torch.set_num_threads(max(1, self.cores - (1 if others > BUSY_CORES else 0)))


def _busy_ticks() -> float | None:
    """Ticks spent at the normal priority by any process, or None where the system does not tell."""
    stat = Path("/proc/stat")
    return float(stat.read_text().split("\n", 1)[0].split()[1]) if stat.exists() else None
