"""Our server and `vllm serve` on the same machine and model, in turn."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.voice import capacity, shapes
from benchmarks.voice.capacity import Capacity
from benchmarks.voice.load import Load, Run
from benchmarks.voice.results import Result
from benchmarks.voice.servers import OURS, THEIRS, Endpoint, ours, scratch, settings_of, theirs
from benchmarks.voice.summary import Slo, summarize, within

Measure = Callable[[Endpoint, Load], Run]
Meet = Callable[[Endpoint], None]
Record = Callable[[Endpoint, Load, list[Run]], Result]


@dataclass(frozen=True, slots=True)
class Plan:
    """rounds: how often each load is measured on each server, by turns. together: both stay loaded, side by side, so
    that the turns follow at once; for one GPU they do not fit on, each is started again for each round.
    most: of the calls at once that are tried for the capacity; 0: not looked for.
    shape: of a model without weights, in place of the configured one; None: that one.
    """

    config: Path
    assignments: list[str]
    calls: tuple[int, ...]
    rounds: int
    together: bool
    port: int
    most: int
    shape: str | None = None


def versus(plan: Plan, load: Load, slo: Slo, meet: Meet, measure: Measure, record: Record) -> list[Result]:
    """Runs of one load and server are put together into one result. meet: called of each server once, when it is up."""
    runs: dict[tuple[int, str], list[Run]] = {}
    capacities: dict[str, Capacity] = {}
    endpoints: dict[str, Endpoint] = {}
    with scratch() as folder:
        for round_, turn in _turns(_shaped(plan, folder), folder):
            with turn as started:
                for endpoint in started:
                    if endpoint.name not in endpoints:
                        meet(endpoint)
                    endpoints[endpoint.name] = endpoint
                for calls in plan.calls:
                    for endpoint in started:
                        at = replace(load, calls=calls, seed=load.seed + round_)
                        runs.setdefault((calls, endpoint.name), []).append(measure(endpoint, at))
                if plan.most and not capacities.keys() >= {endpoint.name for endpoint in started}:
                    capacities |= _capacities(plan, load, slo, measure, started)
    return [
        _with(record(endpoints[name], replace(load, calls=calls), runs[calls, name]), capacities.get(name))
        for calls in plan.calls
        for name in (OURS, THEIRS)
    ]


def _with(result: Result, found: Capacity | None) -> Result:
    return replace(result, options={**result.options, "capacity": asdict(found)}) if found else result


def _capacities(
    plan: Plan, load: Load, slo: Slo, measure: Measure, endpoints: Sequence[Endpoint]
) -> dict[str, Capacity]:
    def keeps(endpoint: Endpoint, calls: int) -> bool:
        return within(summarize(measure(endpoint, replace(load, calls=calls)), slo), slo)

    found = capacity.capacities([partial(keeps, endpoint) for endpoint in endpoints], plan.most)
    return {endpoint.name: one for endpoint, one in zip(endpoints, found, strict=True)}


T = TypeVar("T")
Turn = contextlib.AbstractContextManager[list[Endpoint]]


def _shaped(plan: Plan, folder: Path) -> Plan:
    if plan.shape is None:
        return plan
    model = shapes.make(plan.shape, folder / plan.shape)
    return replace(plan, assignments=[f"model.path={model}", "engine.load_format=dummy", *plan.assignments])


def _turns(plan: Plan, folder: Path) -> Iterator[tuple[int, Turn]]:
    """Which servers run in which round: both, or one after the other.

    Every other round in the other order: what follows upon what is no advantage to anybody.
    """
    if plan.together:
        with _both(plan, folder) as both:
            for round_ in range(plan.rounds):
                yield round_, contextlib.nullcontext(_ordered(both, round_))
        return
    settings = settings_of(plan.config, plan.assignments)
    pair = [partial(ours, plan.config, plan.assignments), partial(theirs, settings)]
    for round_ in range(plan.rounds):
        for start in _ordered(pair, round_):
            yield round_, _alone(start(plan.port, folder))


def _ordered(pair: list[T], round_: int) -> list[T]:
    return pair if round_ % 2 == 0 else pair[::-1]


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
