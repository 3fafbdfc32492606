"""The lag is by how much a sleep was longer than asked."""

from server.telemetry.loop_lag import LoopLag
from tests.telemetry.helpers import Clock


async def test_each_sample_is_what_was_overslept(clock: Clock) -> None:
    lags: list[float] = []
    late = iter([0.0, 0.25])

    async def sleep(seconds: float) -> None:
        clock.now += seconds + next(late)

    watch = LoopLag(lags.append, clock, interval=0.5, sleep=sleep)
    await watch.sample()
    await watch.sample()
    assert lags == [0.0, 0.25]


async def test_it_samples_until_it_is_closed() -> None:
    import asyncio
    import time

    lags: list[float] = []
    sampled = asyncio.Event()

    def observe(lag: float) -> None:
        lags.append(lag)
        sampled.set()

    watch = LoopLag(observe, time.monotonic, interval=0.001)
    watch.start()
    await sampled.wait()
    await watch.close()
    seen = len(lags)
    await asyncio.sleep(0.01)
    assert len(lags) == seen
    assert all(lag >= 0 for lag in lags)
