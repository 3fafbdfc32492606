"""The largest number of calls at once that keeps the SLO, by bisection."""

from collections.abc import Callable
from dataclasses import dataclass

Keeps = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Capacity:
    """calls: keeps the SLO; the next one tried above it does not. tried: what was found, in order.

    bounded: False where `most` itself keeps it.
    """

    calls: int
    bounded: bool
    tried: tuple[tuple[int, bool], ...]


def capacity(keeps: Keeps, most: int, precision: float = 0.05) -> Capacity:
    """Doubles until it breaks, then halves the interval until it is narrower than `precision` of its lower end.

    0 calls keep it by definition, so that a server which cannot hold one is found as well.
    """
    tried: list[tuple[int, bool]] = []

    def holds(calls: int) -> bool:
        tried.append((calls, keeps(calls)))
        return tried[-1][1]

    good, bad = 0, 1
    while holds(bad):
        if bad == most:
            return Capacity(most, False, tuple(tried))
        good, bad = bad, min(2 * bad, most)
    while bad - good > max(1, int(good * precision)):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return Capacity(good, True, tuple(tried))
