"""When tokens are handed on: at once, or under load together with those that come within a few milliseconds."""

import asyncio
from typing import Protocol

FEW = 8  # streams, which are no load


class Held(Protocol):
    """Something that can wait. `held`: it does."""

    held: bool

    def wake(self) -> None: ...


class Pace:
    """Hands held streams on together, and no sooner than an interval after the last time.

    No token waits longer than the interval. Steps that are slower than it never wait: the load is that of tokens that
    come faster than anybody can hear them, so that waking and writing for each is the larger part of the work.

    interval: seconds; 0: nothing waits.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._held: list[Held] = []
        self._released_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, stream: Held) -> None:
        """Until `step` or a later moment."""
        if not stream.held:
            stream.held = True
            self._held.append(stream)

    def step(self, streams: int) -> None:
        """The engine's step has been dealt out. streams: at work."""
        if not self._held or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        due = self._released_at + self._interval
        if streams <= FEW or loop.time() >= due:
            self._release()
        else:
            self._timer = loop.call_at(due, self._release)

    def _release(self) -> None:
        self._timer = None
        self._released_at = asyncio.get_running_loop().time()
        held, self._held = self._held, []
        for stream in held:
            if stream.held:
                stream.wake()
