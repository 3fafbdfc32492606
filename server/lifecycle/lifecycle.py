"""One phase after the other."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Literal

from server.admission.gate import Gate
from server.engine.deadline import Deadlines
from server.errors import Draining, EngineFailed, Unavailable
from server.lifecycle.loading import Loaded, Loader, Model, fingerprint, load
from server.lifecycle.warm_up import warm_up
from server.lifecycle.watchdog import watch
from server.pipeline import Pipeline
from server.processes import LOOK, Seat, alone
from server.protocol import Limits
from server.settings import Settings
from server.telemetry.desk import Desk

logger = logging.getLogger("server.lifecycle")

Phase = Literal["loading", "warming", "ready", "draining", "failed", "closed"]
STANDING: dict[Phase, str] = {
    "loading": "loading the model",
    "warming": "warming up the model",
    "ready": "ready",
    "draining": "shutting down",
    "failed": "failed, the engine died or could not be loaded",
    "closed": "shut down",
}
LAST_WORDS = 1.0  # seconds that whatever was ended has to come to its end


def _nothing() -> None:
    """Nobody wants to know."""


class Lifecycle:
    """Loads in the background, so that probes are answered meanwhile; watches; drains; closes what it loaded.

    on_ready: the model answers.
    on_end: nothing more will: after `hang_up`, or the engine could not be loaded or died for good.
        The process should close its listener, then this.
    seat: among several processes; they become ready together, and are lost together. Absent: there is no other.

    Raises:
        SettingsError: keys, limits or the ledger cannot be used as configured.
    """

    def __init__(
        self,
        settings: Settings,
        workers: Executor,
        loader: Loader = load,
        on_ready: Callable[[], None] = _nothing,
        on_end: Callable[[], None] = _nothing,
        seat: Seat | None = None,
    ) -> None:
        self.phase: Phase = "loading"
        self.seat = seat or alone()
        self.deadlines = Deadlines()
        prices = {name: plan.prices for name, plan in settings.admission.plans.items()}
        self.desk = Desk(
            settings.telemetry, settings.model.served_names, prices, seat=self.seat, reported_at=self._reported_at
        )
        self.gate = Gate(settings.admission, observe=self.desk.metrics.decided, seat=self.seat)
        self.desk.metrics.watch_admission(
            lambda: self.gate.store_up, lambda: self.gate.keys_good, lambda: self.gate.queued_tokens
        )
        self.desk.metrics.watch_ready(lambda: self.phase == "ready")
        self._settings = settings
        self._workers = workers
        self._loader = loader
        self._on_ready = on_ready
        self._on_end = on_end
        # A thread that outlives the loading: the engine's processes end when the thread that started them does.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._restarts = settings.lifecycle.restarts
        self._model: Future[Model] | None = None
        self._loaded: Loaded | None = None
        self._life: asyncio.Task[None] | None = None
        self._drain: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @property
    def loaded(self) -> Loaded:
        """
        Raises:
            Unavailable: not ready; the message says why.
        """
        if self.phase == "draining":
            raise Draining("The server is shutting down.")
        if self._loaded is None or self.phase != "ready":
            raise Unavailable(f"The server is not ready: {STANDING[self.phase]}.")
        return self._loaded

    @property
    def ending(self) -> bool:
        """Connections are of no further use to their clients."""
        return self.phase in ("draining", "failed", "closed")

    @property
    def loading(self) -> bool:
        """The loader is at work, even if nobody waits for it any more."""
        return self._model is not None and not self._model.done()

    def check_alive(self) -> None:
        """
        Raises:
            EngineFailed: the engine is dead, hangs, or never came to life.
        """
        if self.phase == "failed":
            raise EngineFailed(f"The server has {STANDING['failed']}.")

    def start(self) -> None:
        self.desk.start()
        self.gate.start()
        self._life = asyncio.create_task(self._live())

    def hang_up(self) -> None:
        """Take no more requests, and end when those at work have. A second call hurries all that."""
        if self._drain is None:
            self._drain = asyncio.create_task(self._hang_up())
        else:
            self._hurry.set()

    async def close(self) -> None:
        """After the last request. A model that is still being loaded is abandoned."""
        self._enter("closed")
        for task in (self._drain, self._life):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._model is not None:
            await self._close_engine(self._model)
        await self.gate.close()
        await self.desk.close()
        self._thread.shutdown(wait=False)

    async def _live(self) -> None:
        """Load and watch; once more for every dead engine that may be replaced."""
        while await self._load():
            if not await self._outlive_engine():
                break
        self._enter("failed")
        self._on_end()

    async def _load(self) -> bool:
        started = time.monotonic()
        self._model = self._thread.submit(self._loader, self._settings)
        try:
            model = await asyncio.wrap_future(self._model)
            self._loaded = self._join(model)
            self._enter("warming")
            logger.info("warming up")
            await self._warm_up(model, self._loaded.limits)
        except Exception:
            logger.exception("the model could not be loaded")
            return False
        self._enter("ready")
        logger.info("ready after %.1f s", time.monotonic() - started)
        self._on_ready()
        return True

    async def _warm_up(self, model: Model, limits: Limits) -> None:
        """
        Raises:
            EngineFailed: the engine died or hangs already.
        """
        warming = asyncio.create_task(self._get_ready(model, limits))
        watching = asyncio.create_task(watch(model.engine, self._settings.lifecycle.stall_window, self.seat))
        try:
            await asyncio.wait([warming, watching], return_when=asyncio.FIRST_COMPLETED)
            if not warming.done():
                model.engine.kill()
                raise watching.result()
            warming.result()
        finally:
            await _cancelled(warming, watching)

    async def _get_ready(self, model: Model, limits: Limits) -> None:
        await warm_up(model.prompts, model.engine, limits)
        self.seat.tally("ready").mine = 1
        while not self.seat.all_ready:  # noqa: ASYNC110  # other processes, which can only be looked at
            await asyncio.sleep(LOOK)

    async def _outlive_engine(self) -> bool:
        """Wait for the engine's death; whether to load another one."""
        assert self._loaded is not None and self._model is not None
        engine = self._loaded.pipeline.engine
        fault = await watch(engine, self._settings.lifecycle.stall_window, self.seat)
        logger.error("%s", fault.message)
        replace = self._restarts > 0 and self.phase == "ready"
        self._enter("loading" if replace else "failed")
        self.deadlines.cut(EngineFailed("The engine died while it worked on this request."))
        engine.kill()
        if replace:
            self._restarts -= 1
            await _within(LAST_WORDS, self.deadlines.idle.wait())
            await self._close_engine(self._model)
        return replace

    async def _hang_up(self) -> None:
        settings, idle = self._settings.lifecycle, self.deadlines.idle
        serving = self.phase == "ready"
        self._enter("draining")
        if serving:
            await self._unless_hurried(settings.drain_pause, asyncio.sleep(settings.drain_pause))
            await self._unless_hurried(settings.drain_timeout - settings.drain_pause, idle.wait())
            self.desk.recorder.draining = True
            self.deadlines.cut(Draining("The server is shutting down: this answer ends before its time."))
            await _within(LAST_WORDS, idle.wait())
        self._on_end()

    async def _unless_hurried(self, seconds: float, work: Coroutine[Any, Any, object]) -> None:
        await _within(seconds, work, self._hurry.wait())

    async def _close_engine(self, model: Future[Model]) -> None:
        await asyncio.wait([asyncio.wrap_future(model)], timeout=LAST_WORDS)
        if model.done() and not model.exception():
            engine = model.result().engine
            closing, hurried = asyncio.create_task(engine.close()), asyncio.create_task(self._hurry.wait())
            await asyncio.wait([closing, hurried], return_when=asyncio.FIRST_COMPLETED)
            if not closing.done():
                engine.kill()
            await _cancelled(hurried)
            await closing

    def _join(self, model: Model) -> Loaded:
        pipeline = Pipeline(
            model.prompts,
            model.engine,
            model.family,
            self._settings.speech,
            self._workers,
            self.desk.recorder,
            self.deadlines,
        )
        limits = Limits(models=self._settings.model.served_names, vocab_size=model.engine.vocab_size)
        return Loaded(pipeline, limits, fingerprint(self._settings), self.seat.born)

    def _reported_at(self) -> float:
        return self._loaded.pipeline.engine.stats().reported_at if self._loaded else 0.0

    def _enter(self, phase: Phase) -> None:
        """Unless that would lead back: who drains does not become ready again, and who failed did not close well."""
        ends = ("failed", "closed")
        if self.phase not in ends and (self.phase != "draining" or phase in ends):
            self.phase = phase
            if phase == "failed":
                self.seat.tally("lost").mine = 1


async def _within(seconds: float, *works: Coroutine[Any, Any, object]) -> None:
    """Until the first of them is done, but no longer than so many seconds."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    await _cancelled(*tasks)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
