"""One metrics page for several processes, whichever of them is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import nan
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Metric

from server.processes import Seat
from server.telemetry.metrics import render
from server.telemetry.page import MetricsPage, OneFamily
from server.telemetry.requests import Clock

PATIENCE = 5.0  # seconds for another process to tell its figures

# Figures that are no sums. The engine's own gauges are not either, see `merged`.
LEAST = frozenset(
    [f"electron_{name}" for name in ("ready", "limit_store_up", "keys_good", "ledger_up", "build_info")]
    + ["python_info", "process_start_time_seconds", "process_max_fds"]
)
MOST = frozenset(["electron_ledger_lag_seconds"])


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one process. reported_at: when the engine's scheduler last reported to it; seconds, monotonic."""

    reported_at: float
    families: Sequence[Metric]

    def to_json(self) -> bytes:
        families = [
            [family.name, family.documentation, family.type, [[s.name, s.labels, s.value] for s in family.samples]]
            for family in self.families
        ]
        return orjson.dumps([self.reported_at, families])

    @classmethod
    def of_json(cls, text: bytes) -> "Figures":
        """
        Raises:
            ValueError: the process has ended in the middle of it.
        """
        reported_at, families = orjson.loads(text)
        return cls(reported_at, [_family(*family) for family in families])


class SharedPage(MetricsPage):
    """All processes' figures, summed up. Each has a socket where it tells its own.

    What a process said last counts until it says more: a counter must not go back when somebody does not answer.
    """

    def __init__(
        self,
        registries: Sequence[CollectorRegistry],
        clock: Clock,
        max_age: float,
        seat: Seat,
        reported_at: Callable[[], float],
    ) -> None:
        super().__init__(registries, clock, max_age)
        self._seat = seat
        self._reported_at = reported_at
        self._others: dict[int, Figures] = {}
        self._telling: asyncio.Task[asyncio.Server] | None = None

    def start(self) -> None:
        self._telling = asyncio.create_task(asyncio.start_unix_server(self._tell, self._socket(self._seat.index)))

    async def close(self) -> None:
        if self._telling is not None:
            (await self._telling).close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        others = (index for index in range(self._seat.count) if index != self._seat.index)
        await asyncio.gather(*map(self._ask, others))
        for family in merged([await self._own(), *self._others.values()]):
            yield render(OneFamily(family))
            await asyncio.sleep(0)

    async def _own(self) -> Figures:
        families = []
        for registry in self._registries:
            for family in registry.collect():
                families.append(family)
                await asyncio.sleep(0)
        return Figures(self._reported_at(), families)

    async def _ask(self, index: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._socket(index))
                with closing(writer):
                    self._others[index] = Figures.of_json(await reader.read())
        except (OSError, ValueError):
            pass  # it has not begun, or has ended, or is busy

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            writer.write((await self._own()).to_json())
            await writer.drain()

    def _socket(self, index: int) -> str:
        return str(self._seat.folder / f"{index}.metrics")


def merged(figures: Sequence[Figures]) -> Iterator[Metric]:
    """Each family once, with the sums of what the processes have.

    Each step of the engine is reported to one of them, so that its gauges (running, waiting, KV cache in use) are as
    old in each as the last report that came there: they are taken from whoever has the latest.
    """
    by_name: dict[str, list[Metric]] = {}
    for of_one in sorted(figures, key=lambda figures: figures.reported_at, reverse=True):
        for family in of_one.families:
            by_name.setdefault(family.name, []).append(family)
    for name, families in by_name.items():
        first = families[0]
        if not (first.type == "gauge" and name.startswith("vllm:")):
            how = min if name in LEAST else max if name in MOST else sum
            first = _family(name, first.documentation, first.type, _joined(families, how))
        yield first


def _joined(families: Iterable[Metric], how: Callable[[list[float]], float]) -> Iterator[tuple[str, Any, float]]:
    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
    for family in families:
        for sample in family.samples:
            values.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    return ((name, dict(labels), how(found)) for (name, labels), found in values.items())


def _family(
    name: str, documentation: str, kind: str, samples: Iterable[tuple[str, Mapping[str, str], float | None]]
) -> Metric:
    family = Metric(name, documentation, kind)
    for sample, labels, value in samples:
        family.add_sample(sample, dict(labels), nan if value is None else value)  # JSON has none
    return family
