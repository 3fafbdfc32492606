"""How long the event loop keeps its tasks waiting."""

import asyncio
from collections.abc import Awaitable, Callable

from server.telemetry.requests import Clock, Observe

Sleep = Callable[[float], Awaitable[None]]


class LoopLag:
    """Sleeps again and again and observes by how much it overslept.

    interval: seconds.
    """

    def __init__(self, observe: Observe, clock: Clock, interval: float = 0.1, sleep: Sleep = asyncio.sleep) -> None:
        self._observe = observe
        self._clock = clock
        self._interval = interval
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sample(self) -> None:
        due = self._clock() + self._interval
        await self._sleep(self._interval)
        self._observe(max(0.0, self._clock() - due))

    async def _watch(self) -> None:
        while True:
            await self.sample()
