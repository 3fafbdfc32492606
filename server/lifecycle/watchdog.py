"""Whether the engine lives: vLLM's own check sees a dead process, but not one that hangs."""

import asyncio
import math

from server.engine.base import Engine, EngineStats
from server.errors import EngineFailed
from server.processes import Seat

LOOK_INTERVAL = 0.25  # seconds: a caller must hear of a dead engine within one


class Watchdog:
    """Barks when the engine has had work for so many looks in a row and made no step.

    It counts its own looks instead of reading a clock: a clock goes on while this process itself is stopped.
    """

    def __init__(self, looks: int) -> None:
        self._patience = looks
        self._steps = -1
        self._idle_looks = 0

    def look(self, stats: EngineStats) -> bool:
        progress = stats.steps != self._steps or stats.unfinished == 0
        self._steps = stats.steps
        self._idle_looks = 0 if progress else self._idle_looks + 1
        return self._idle_looks >= self._patience


class Fellows:
    """The other processes, by how often they look: one that no longer does has calls that nobody answers."""

    def __init__(self, seat: Seat, looks: int) -> None:
        self._own = seat.tally("looks")
        self._watched = [(other, Watchdog(looks)) for other in seat.others]

    def look(self) -> bool:
        """Whether one of them is stuck; it is not before it has begun, nor once it is done."""
        self._own.mine += 1
        return any([watchdog.look(_life(other)) for other, watchdog in self._watched])


def _life(seat: Seat) -> EngineStats:
    looks, done = seat.tally("looks").mine, seat.tally("done").mine
    return EngineStats(0, 0, 0.0, steps=looks, unfinished=int(looks > 0 and not done))


async def watch(engine: Engine, stall_window: float, seat: Seat) -> EngineFailed:
    """Returns, with the reason, when the engine is dead, or it or a process is stuck for `stall_window` seconds."""
    looks = math.ceil(stall_window / LOOK_INTERVAL)
    watchdog, fellows = Watchdog(looks), Fellows(seat, looks)
    while True:
        await asyncio.sleep(LOOK_INTERVAL)
        try:
            await engine.check()
        except EngineFailed as error:
            return error
        if watchdog.look(engine.stats()):
            return EngineFailed(f"The engine has made no step for {stall_window:g} s although it has work.")
        if fellows.look():
            return EngineFailed(f"Another process has not looked at the engine for {stall_window:g} s.")
