"""One rendering serves all who ask within its age."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.settings import MetricsSettings
from server.telemetry.metrics import Metrics, render
from server.telemetry.page import MetricsPage
from server.telemetry.requests import Caller
from tests.telemetry.helpers import Clock


class Counting(Collector):
    """Counts its renderings."""

    def __init__(self) -> None:
        self.renderings = 0

    def collect(self) -> list[GaugeMetricFamily]:
        self.renderings += 1
        return [GaugeMetricFamily(f"electron_{name}", "…", self.renderings) for name in ("first", "last")]


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def page(counting: Counting, clock: Clock) -> MetricsPage:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(counting)
    counting.renderings = 0  # registering looks at the names
    return MetricsPage([registry], clock, max_age=0.1)


async def test_a_page_is_served_again_until_it_is_too_old(page: MetricsPage, counting: Counting, clock: Clock) -> None:
    first = await page.read()
    clock.now += 0.09
    assert await page.read() is first
    clock.now += 0.02
    second = await page.read()
    assert b"electron_first 1.0" in first
    assert b"electron_first 2.0" in second
    assert counting.renderings == 2


async def test_those_who_ask_at_once_get_one_rendering(page: MetricsPage, counting: Counting) -> None:
    pages = await asyncio.gather(*(page.read() for _ in range(5)))
    assert len(set(pages)) == 1
    assert counting.renderings == 1


async def test_between_two_families_others_have_their_turn(page: MetricsPage) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    await page.read()
    running.cancel()
    assert turns >= 2


async def test_a_reader_who_gives_up_leaves_the_page_to_the_others(page: MetricsPage) -> None:
    leaving, staying = (asyncio.create_task(page.read()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert b"electron_last" in await staying
    assert leaving.cancelled()


async def test_the_page_is_what_the_registries_render_whole(clock: Clock) -> None:
    metrics = Metrics(MetricsSettings(), ["electron"])
    metrics.begin("electron", Caller("acme", "k1", "standard"))
    assert await MetricsPage([metrics.registry], clock, 0.1).read() == render(metrics.registry)


async def test_a_failure_is_not_kept(clock: Clock) -> None:
    class Broken(Collector):
        fault: Exception | None = None

        def collect(self) -> list[GaugeMetricFamily]:
            if self.fault:
                raise self.fault
            return []

    broken, registry = Broken(), CollectorRegistry()
    registry.register(broken)
    page = MetricsPage([registry], clock, max_age=0.1)
    broken.fault = RuntimeError()
    with pytest.raises(RuntimeError):
        await page.read()
    broken.fault = None
    assert await page.read() == b""


async def test_registries_follow_one_another(clock: Clock) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    for name, registry in zip(("a", "b"), registries, strict=True):
        Counter(name, "…", registry=registry)
    text = (await MetricsPage(registries, clock, 0.1).read()).decode()
    assert text.index("a_total 0.0") < text.index("b_total 0.0")
