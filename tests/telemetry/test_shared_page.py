"""Whichever process is asked shows the figures of all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from server.processes import Seat, seats
from server.telemetry.shared_page import Figures, SharedPage, merged
from tests.telemetry.helpers import Clock

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Desk:
    """One process's figures."""

    def __init__(self) -> None:
        self.reported_at = 0.0
        self.registry = CollectorRegistry()
        self.calls = Counter("electron_requests", "…", ["outcome"], registry=self.registry)
        self.ttft = Histogram("electron_ttft_seconds", "…", buckets=(0.1, 1.0), registry=self.registry)
        self.in_flight = Gauge("electron_requests_in_flight", "…", registry=self.registry)
        self.ready = Gauge("electron_ready", "…", registry=self.registry)
        self.lag = Gauge("electron_ledger_lag_seconds", "…", registry=self.registry)
        self.running = Gauge("vllm:num_requests_running", "…", ["engine"], registry=self.registry)
        self.tokens = Counter("vllm:generation_tokens", "…", ["engine"], registry=self.registry)

    def page(self, seat: Seat, clock: Clock) -> SharedPage:
        return SharedPage([self.registry], clock, 0.1, seat, lambda: self.reported_at)


@pytest.fixture
def desks() -> tuple[Desk, Desk]:
    one, other = Desk(), Desk()
    for desk, share in ((one, 1), (other, 2)):
        desk.calls.labels("stop").inc(share)
        desk.ttft.observe(share / 2)
        desk.in_flight.set(share)
        desk.ready.set(share - 1)
        desk.lag.set(share)
        desk.running.labels("0").set(10 * share)
        desk.tokens.labels("0").inc(100 * share)
    other.calls.labels("error").inc()
    one.reported_at = 5.0  # it heard of the engine last
    return one, other


@asynccontextmanager
async def served(desks: tuple[Desk, Desk], folder: Path, clock: Clock) -> AsyncIterator[list[SharedPage]]:
    pages = [desk.page(seat, clock) for desk, seat in zip(desks, seats(2, folder), strict=True)]
    for page in pages:
        page.start()
    yield pages
    for page in pages:
        await page.close()


def samples(page: bytes) -> Samples:
    found = [sample for family in text_string_to_metric_families(page.decode()) for sample in family.samples]
    by_key = {(sample.name, tuple(sample.labels.items())): sample.value for sample in found}
    assert len(by_key) == len(found), "a series comes twice"
    return by_key


async def test_both_show_the_same_sums(desks: tuple[Desk, Desk], tmp_path: Path, clock: Clock) -> None:
    async with served(desks, tmp_path, clock) as pages:
        texts = [await page.read() for page in pages]
    shown, same = map(samples, texts)
    assert shown == same
    assert shown["electron_requests_total", (("outcome", "stop"),)] == 3
    assert shown["electron_requests_total", (("outcome", "error"),)] == 1
    assert shown["electron_requests_in_flight", ()] == 3
    assert [shown["electron_ttft_seconds_bucket", (("le", edge),)] for edge in ("0.1", "1.0", "+Inf")] == [0, 2, 2]
    assert (shown["electron_ttft_seconds_sum", ()], shown["electron_ttft_seconds_count", ()]) == (1.5, 2)
    assert shown["vllm:generation_tokens_total", (("engine", "0"),)] == 300


async def test_what_is_no_sum_is_not_summed(desks: tuple[Desk, Desk], tmp_path: Path, clock: Clock) -> None:
    """Ready when all are; as far behind as whoever is most; the engine as it was seen last."""
    async with served(desks, tmp_path, clock) as pages:
        shown = samples(await pages[1].read())
        assert (shown["electron_ready", ()], shown["electron_ledger_lag_seconds", ()]) == (0, 2)
        assert shown["vllm:num_requests_running", (("engine", "0"),)] == 10
        desks[1].reported_at = 6.0
        clock.now += 1
        shown = samples(await pages[0].read())
        assert shown["vllm:num_requests_running", (("engine", "0"),)] == 20


async def test_no_counter_goes_back_when_a_process_has_ended(
    desks: tuple[Desk, Desk], tmp_path: Path, clock: Clock
) -> None:
    async with served(desks, tmp_path, clock) as pages:
        before = samples(await pages[0].read())
        await pages[1].close()
        clock.now += 1
        assert samples(await pages[0].read()) == before


async def test_who_has_not_begun_is_not_waited_for(desks: tuple[Desk, Desk], tmp_path: Path, clock: Clock) -> None:
    first, _ = seats(2, tmp_path)
    page = desks[0].page(first, clock)
    assert samples(await page.read())["electron_requests_total", (("outcome", "stop"),)] == 1


def test_figures_survive_the_way(desks: tuple[Desk, Desk]) -> None:
    own = Figures(7.0, list(desks[0].registry.collect()))
    there = Figures.of_json(own.to_json())
    assert there.reported_at == 7.0
    assert list(merged([there])) == list(merged([own]))
    with pytest.raises(ValueError, match="unexpected end"):
        Figures.of_json(own.to_json()[:-3])
