"""Figures from the process of the model to that of the server: a page of memory that both map.

One writer, aligned 8-byte words: a reader sees each figure as it was at some moment, and no message waits for an engine
that is busy.
"""

import mmap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

NAMES = ("decode_steps", "shared_steps", "shared_requests", "bytes_saved")


class Counters:
    """decode_steps: of decode alone; shared_steps: of those, with a shared stretch; shared_requests: rows read through
    one, summed over steps; bytes_saved: of keys and values not read again, all layers of this process."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._figures = np.frombuffer(self._page, np.int64, len(NAMES))

    def add(self, **figures: int) -> None:
        for name, figure in figures.items():
            self._figures[NAMES.index(name)] += figure

    def read(self) -> Mapping[str, int]:
        return dict(zip(NAMES, self._figures.tolist(), strict=True))
