"""Whether the engine lives: vLLM's own check sees a dead process, but not one that hangs."""

import asyncio
import math

from server.engine.base import Engine, EngineStats
from server.errors import EngineFailed

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


async def watch(engine: Engine, stall_window: float) -> EngineFailed:
    """Returns, with the reason, when the engine is dead or has been stuck for `stall_window` seconds."""
    watchdog = Watchdog(math.ceil(stall_window / LOOK_INTERVAL))
    while True:
        await asyncio.sleep(LOOK_INTERVAL)
        try:
            await engine.check()
        except EngineFailed as error:
            return error
        if watchdog.look(engine.stats()):
            return EngineFailed(f"The engine has made no step for {stall_window:g} s although it has work.")
