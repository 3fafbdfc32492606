"""Sharing a small machine: all cores when nobody else wants them, one thread when somebody does.

A step's threads wait for one another, so one thread squeezed by others would hold back all.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

BUSY_CORES = 0.35


@dataclass
class PoliteThreads:
    """Sets torch's thread count by what other processes used since the last call."""

    cores: int
    busy: float = 0.0  # core-seconds of other processes at the last call
    clock: float = 0.0  # seconds

    def adjust(self, now: float) -> None:
        busy = _busy_seconds()
        if busy is None or now <= self.clock:
            return
        others = (busy - self.busy) / (now - self.clock)
        self.busy, self.clock = busy, now
        torch.set_num_threads(max(1, self.cores - (1 if others > BUSY_CORES else 0)))


def _busy_seconds() -> float | None:
    """Core-seconds spent by all processes but this one, or None where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system = (int(ticks) for ticks in stat.read_text().split("\n", 1)[0].split()[1:4])
    own = os.times()
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - own.user - own.system
