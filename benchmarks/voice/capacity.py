"""The largest number of calls at once that keeps the SLO, by bisection."""

from collections.abc import Callable, Generator, Sequence
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
    """Of one server; see `search`."""
    return capacities([keeps], most, precision)[0]


def capacities(servers: Sequence[Keeps], most: int, precision: float = 0.05) -> list[Capacity]:
    """Of several, a step of each in turn: what else the machine does then meets all of them."""
    searches = [search(most, precision) for _ in servers]
    wanted = [next(one) for one in searches]
    found: dict[int, Capacity] = {}
    while len(found) < len(servers):
        for index, keeps in enumerate(servers):
            if index not in found:
                try:
                    wanted[index] = searches[index].send(keeps(wanted[index]))
                except StopIteration as end:
                    found[index] = end.value
    return [found[index] for index in range(len(servers))]


def search(most: int, precision: float) -> Generator[int, bool, Capacity]:
    """Yields calls at once to be tried, is told whether they keep the SLO, and returns what it has found.

    Doubles until it breaks, then halves the interval until it is narrower than `precision` of its lower end. 0 calls
    keep it by definition, so that a server which cannot hold one is found as well.
    """
    tried: list[tuple[int, bool]] = []
    good, bad = 0, 1
    while True:
        tried.append((bad, (yield bad)))
        if not tried[-1][1]:
            break
        if bad == most:
            return Capacity(most, False, tuple(tried))
        good, bad = bad, min(2 * bad, most)
    while bad - good > max(1, int(good * precision)):
        middle = (good + bad) // 2
        tried.append((middle, (yield middle)))
        good, bad = (middle, bad) if tried[-1][1] else (good, middle)
    return Capacity(good, True, tuple(tried))
