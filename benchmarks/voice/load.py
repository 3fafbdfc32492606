"""When calls come: by themselves at a rate, whatever becomes of the others, or always so many at once."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from benchmarks.voice.conversation import Conversation, Manner
from benchmarks.voice.profiles import Profile
from benchmarks.voice.records import Request
from benchmarks.voice.script import script

TICK = 0.01  # seconds
PATIENCE = 60.0  # seconds after the end, for what was asked before it


@dataclass(frozen=True, slots=True)
class Load:
    """Either rate, of new calls in a second (Poisson), or calls, at once. Times in seconds.

    ramp: over which the load grows from nothing. Only requests sent after it, and before duration is over, count.
    """

    rate: float | None = None
    calls: int | None = None
    duration: float = 60.0
    ramp: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class Run:
    """What came of it. requests: those that count. lag: ms by which this program's own loop was late, each 10 ms.

    tokens: of all answers that were heard to their end, also of those that do not count. processor: seconds that the
    server's API process took for all of them, where it is on this machine.
    """

    requests: list[Request] = field(default_factory=list)
    uncounted: int = 0
    lag: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    processor: float | None = None

    @property
    def per_token(self) -> float | None:
        """Processor time of the API process, ms."""
        return 1000 * self.processor / self.tokens if self.processor is not None and self.tokens else None


class Driver:
    def __init__(
        self, client: httpx.AsyncClient, profile: Profile, load: Load, manner: Manner, tell: Callable[[Request], None]
    ) -> None:
        self._client, self._profile, self._load, self._manner, self._tell = client, profile, load, manner, tell
        self._run = Run()
        self._calls: dict[asyncio.Task[None], Conversation] = {}
        self._number = 0
        self._began = 0.0

    async def run(self) -> Run:
        """What was asked in time is waited for: the slowest answers must not be missing from the figures."""
        self._began = time.perf_counter()
        watching = asyncio.create_task(self._watch())
        await (self._arrivals() if self._load.rate is not None else self._at_once())
        asking = {task for task, call in self._calls.items() if call.asking}
        for task in self._calls.keys() - asking:
            task.cancel()
        await asyncio.wait(asking, timeout=PATIENCE) if asking else None
        for task in (watching, *asking):
            task.cancel()
        ended = await asyncio.gather(*self._calls, return_exceptions=True)
        if failed := [one for one in ended if isinstance(one, Exception)]:
            raise failed[0]
        self._run.seconds = self._load.duration - self._load.ramp
        return self._run

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def _arrivals(self) -> None:
        """A Poisson process whose rate grows during the ramp: thinned out of the full one."""
        chance, at = random.Random(f"{self._load.seed} arrivals"), 0.0
        assert self._load.rate
        while (at := at + chance.expovariate(self._load.rate)) < self._load.duration:
            comes = at >= self._load.ramp or chance.random() < at / self._load.ramp
            await asyncio.sleep(max(0.0, at - self._now()))
            if comes:
                self._begin()
        await asyncio.sleep(max(0.0, self._load.duration - self._now()))

    async def _at_once(self) -> None:
        assert self._load.calls
        while (now := self._now()) < self._load.duration:
            share = min(1.0, now / self._load.ramp) if self._load.ramp else 1.0
            while len(self._calls) < max(1, round(self._load.calls * share)):
                self._begin()
            await asyncio.sleep(TICK)

    def _begin(self) -> None:
        what = script(self._profile, self._load.seed, self._number)
        call = Conversation(self._client, what, self._manner, self._began, self._under_way, self._going, self._done)
        task = asyncio.create_task(call.run())
        self._calls[task] = call
        task.add_done_callback(self._over)
        self._number += 1

    def _under_way(self) -> int:
        return len(self._calls)

    def _going(self) -> bool:
        return self._now() < self._load.duration

    def _over(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or not task.exception():
            self._calls.pop(task, None)

    def _done(self, request: Request) -> None:
        self._run.tokens += request.output_tokens
        if self._load.ramp <= request.at < self._load.duration:
            self._run.requests.append(request)
        else:
            self._run.uncounted += 1
        self._tell(request)

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self._run.lag.append((time.perf_counter() - due) * 1000)


async def drive(
    url: str,
    profile: Profile,
    load: Load,
    manner: Manner,
    key: str = "any",
    tell: Callable[[Request], None] = lambda request: None,
) -> Run:
    """url: with the version, as in http://127.0.0.1:8000/v1."""
    limits, headers = httpx.Limits(max_connections=None), {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, limits=limits, headers=headers, timeout=600) as client:
        return await Driver(client, profile, load, manner, tell).run()
