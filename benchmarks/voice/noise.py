"""Better, or only a noisy machine? Both servers are measured in each round, so the ratios of the rounds tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Literal

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Paired:
    """Ratios of rounds: above 1 the first server is better. low to high holds their true median, 95 times of 100."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["better", "worse", "within noise"]:
        if self.low > 1.0:
            return "better"
        return "worse" if self.high < 1.0 else "within noise"


def paired(ratios: Sequence[float]) -> Paired | None:
    """By the sign test, which asks nothing of how the ratios are spread. None of fewer than six: they cannot tell."""
    outside = _outside(len(ratios))
    if outside is None:
        return None
    ordered = sorted(ratios)
    return Paired(median(ordered), ordered[outside], ordered[-1 - outside])


def _outside(count: int) -> int | None:
    """How many of so many ordered figures may be left out at either end."""
    left, chance = -1, 0.0
    while (chance := chance + comb(count, left + 1) / 2**count) <= (1 - CONFIDENCE) / 2:
        left += 1
    return left if left >= 0 else None
