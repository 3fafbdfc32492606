"""When sharing pays: a table of measured data, never a guess.

`python -m benchmarks.kernels gate` times one layer's attention on the GPU at hand and writes the table. None has been
measured yet, so the server ships without one, and the backend refuses to start until it is given one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `requests` on, sharing `tokens` or more was faster than not sharing."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Gate:
    """Thresholds of one GPU, each with more requests than the one before."""

    device: str
    thresholds: tuple[Threshold, ...]

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """
        Raises:
            ValueError: not a table, or one without thresholds.
        """
        try:
            found = [Threshold(int(row["requests"]), int(row["tokens"])) for row in table["thresholds"]]
            device = str(table["device"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a gate of shared_prefix_attention: {error!r}") from error
        if not found or min(t.requests for t in found) < 1:
            raise ValueError("a gate of shared_prefix_attention needs thresholds, of one request or more")
        return cls(device, tuple(sorted(found, key=lambda threshold: threshold.requests)))

    @property
    def least(self) -> int:
        """Requests that a shared stretch has at the least."""
        return self.thresholds[0].requests

    def pays(self, requests: int, tokens: int) -> bool:
        """By the last threshold that the number of requests reaches: between two, the more cautious one counts."""
        reached = [threshold.tokens for threshold in self.thresholds if threshold.requests <= requests]
        return bool(reached) and tokens >= reached[-1]


def read_gate(path: Path) -> dict[str, Any]:
    """The table in a JSON file.

    Raises:
        ValueError: it cannot be used, and why.
    """
    try:
        table = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"the gate {path} cannot be read: {error}") from error
    Gate.of(table)
    return dict(table)
