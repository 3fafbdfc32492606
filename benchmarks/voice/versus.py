"""Our server and `vllm serve` on the same machine and model, in turn."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.voice.capacity import Capacity, capacity
from benchmarks.voice.load import Load, Run
from benchmarks.voice.results import Result
from benchmarks.voice.servers import OURS, THEIRS, Endpoint, ours, scratch, settings_of, theirs
from benchmarks.voice.summary import Slo, summarize, within

Measure = Callable[[Endpoint, Load], Run]
Record = Callable[[Endpoint, Load, list[Run]], Result]


@dataclass(frozen=True, slots=True)
class Plan:
    """rounds: how often each load is measured on each server, by turns. together: both stay loaded, side by side, so
    that the turns follow at once; for one GPU they do not fit on, each is started again for each round.
    most: of the calls at once that are tried for the capacity; 0: not looked for.
    """

    config: Path
    assignments: list[str]
    calls: tuple[int, ...]
    rounds: int
    together: bool
    port: int
    most: int


def versus(
    plan: Plan, load: Load, slo: Slo, measure: Measure, record: Record
) -> tuple[list[Result], dict[str, Capacity]]:
    """Runs of one load and server are put together into one result."""
    runs: dict[tuple[int, str], list[Run]] = {}
    capacities: dict[str, Capacity] = {}
    endpoints: dict[str, Endpoint] = {}
    with scratch() as folder:
        for round_, turn in enumerate(_turns(plan, folder)):
            with turn as started:
                for calls in plan.calls:
                    # The second round in the other order: what follows upon what is no advantage to anybody.
                    for endpoint in started if round_ % 2 == 0 else reversed(started):
                        endpoints[endpoint.name] = endpoint
                        at = replace(load, calls=calls, seed=load.seed + round_)
                        runs.setdefault((calls, endpoint.name), []).append(measure(endpoint, at))
                for endpoint in started:
                    if plan.most and endpoint.name not in capacities:
                        capacities[endpoint.name] = _capacity(plan, load, slo, measure, endpoint)
    results = [
        record(endpoints[name], replace(load, calls=calls), runs[calls, name])
        for calls in plan.calls
        for name in (OURS, THEIRS)
    ]
    return results, capacities


def _capacity(plan: Plan, load: Load, slo: Slo, measure: Measure, endpoint: Endpoint) -> Capacity:
    def keeps(calls: int) -> bool:
        return within(summarize(measure(endpoint, replace(load, calls=calls)), slo), slo)

    return capacity(keeps, plan.most)


Turn = contextlib.AbstractContextManager[list[Endpoint]]


def _turns(plan: Plan, folder: Path) -> Iterator[Turn]:
    """Which servers run: both in every round, or one after the other."""
    if plan.together:
        with _both(plan, folder) as both:
            for _ in range(plan.rounds):
                yield contextlib.nullcontext(both)
        return
    settings = settings_of(plan.config, plan.assignments)
    for _ in range(plan.rounds):
        yield _alone(ours(plan.config, plan.assignments, plan.port, folder))
        yield _alone(theirs(settings, plan.port, folder))


@contextlib.contextmanager
def _both(plan: Plan, folder: Path) -> Iterator[list[Endpoint]]:
    settings = settings_of(plan.config, plan.assignments)
    mine = ours(plan.config, plan.assignments, plan.port, folder)
    with mine as first, theirs(settings, plan.port + 1, folder) as second:
        yield [first, second]


@contextlib.contextmanager
def _alone(server: contextlib.AbstractContextManager[Endpoint]) -> Iterator[list[Endpoint]]:
    with server as endpoint:
        yield [endpoint]
