"""How long does rendering /metrics hold the event loop? Takes the page of a running server, and renders it here.

python -m benchmarks.metrics_page --url http://127.0.0.1:8000
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator

import httpx
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.telemetry.page import MetricsPage

ROUNDS = 200


class Snapshot(Collector):
    """The families of a page as they were."""

    def __init__(self, page: str) -> None:
        self._families = list(text_string_to_metric_families(page))

    def collect(self) -> Iterator[Metric]:
        yield from self._families

    @property
    def samples(self) -> int:
        return sum(len(family.samples) for family in self._families)


async def longest_hold(page: MetricsPage) -> tuple[float, float]:
    """Seconds of processor time: the longest without a turn for anybody else, and all of it.

    Not by the clock on the wall: on the machine of a server under load that would measure who else wants the processor.
    """
    reading = asyncio.create_task(page.read())
    started = last = time.thread_time()
    longest = 0.0
    while not reading.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return longest, last - started


async def main(url: str) -> None:
    async with httpx.AsyncClient() as client:
        snapshot = Snapshot((await client.get(f"{url}/metrics")).text)
    registry = CollectorRegistry()
    registry.register(snapshot)
    page = MetricsPage((registry,), time.monotonic, max_age=0.0)
    times = [await longest_hold(page) for _ in range(ROUNDS)]
    print(f"{snapshot.samples} samples, {ROUNDS} pages; milliseconds of processor time:")
    for name, values in zip(("longest hold of a page", "whole page"), zip(*times, strict=True), strict=True):
        cuts = statistics.quantiles([1000 * value for value in values], n=100)
        print(f"{name:24} median {cuts[49]:6.2f}  p99 {cuts[98]:6.2f}  max {1000 * max(values):6.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    asyncio.run(main(parser.parse_args().url))
