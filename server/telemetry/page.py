"""The metrics page, rendered now and then."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from server.telemetry.metrics import render
from server.telemetry.requests import Clock


class MetricsPage:
    """All series of some registries.

    Inference gateways ask every 50 ms, and to render all that vLLM has takes ten. So one page serves all who ask within
    its age, and between two families the event loop attends to the calls. A thread would hold the interpreter for
    longer at a time than one family takes.

    max_age: seconds.
    """

    def __init__(self, registries: Sequence[CollectorRegistry], clock: Clock, max_age: float) -> None:
        self._registries = tuple(registries)
        self._clock = clock
        self._max_age = max_age
        self._page = b""
        self._rendered_at = float("-inf")
        self._rendering: asyncio.Task[bytes] | None = None

    async def read(self) -> bytes:
        """The page, in text format 0.0.4; see `CONTENT_TYPE`."""
        if self._clock() - self._rendered_at < self._max_age:
            return self._page
        if self._rendering is None:
            self._rendering = asyncio.create_task(self._render())
        return await asyncio.shield(self._rendering)  # one who gives up does not take the page from the others

    async def _render(self) -> bytes:
        try:
            started = self._clock()
            self._page = b"".join([piece async for piece in self._pieces()])
            self._rendered_at = started
            return self._page
        finally:
            self._rendering = None

    async def _pieces(self) -> AsyncIterator[bytes]:
        for registry in self._registries:
            for family in registry.collect():
                yield render(OneFamily(family))
                await asyncio.sleep(0)


class OneFamily(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family
