"""Several processes over one engine: they become ready together, and end together."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

from server.admission.salts import with_salt_secret
from server.engine.orphan import tie_children
from server.processes import LOOK, PROCESS, Seat, seats
from server.serving.listener import listen
from server.serving.process import SIGNALS, Process, leave
from server.settings import Settings
from server.telemetry.logs import configure_logging

HANG_UP = signal.SIGUSR1  # from the first process to the others
LAST_WORDS = 10.0  # seconds for the others to close connections and ledger


def run_several(settings: Settings, on_ready: Callable[[], None]) -> int:
    """The first process's part. The exit status of all.

    Raises:
        SettingsError: keys, limits, ledger or address cannot be used as configured.
    """
    settings = settings.model_copy(update={"admission": with_salt_secret(settings.admission)})
    folder = Path(tempfile.mkdtemp(prefix="electron-"))
    try:
        seat, *rest = seats(settings.http.processes, folder)
        return First(settings, seat, rest, listen(settings.http), on_ready).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Sharing(Process):
    """One of several. Whoever has no call left waits for the others: until then it answers probes, and `/metrics`."""

    _ending: asyncio.Task[None] | None = None

    def end(self) -> None:
        self._ending = self._ending or asyncio.create_task(self._end())

    async def _end(self) -> None:
        await self._all_done()
        super().end()

    async def _all_done(self) -> None:
        done, lost = self.seat.tally("done"), self.seat.tally("lost")
        done.mine = 1
        while done.total < self.seat.count and not lost.total:  # noqa: ASYNC110  # other processes can only be looked at
            await asyncio.sleep(LOOK)


class Other(Sharing):
    """Started by the first one and hung up by it; whatever else sends signals to a whole group means the first one."""

    signals = (HANG_UP,)


class First(Sharing):
    """Started by the operator: it has the engine, hands signals on and answers for the others."""

    def __init__(
        self,
        settings: Settings,
        seat: Seat,
        rest: Sequence[Seat],
        sockets: Sequence[socket.socket],
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(settings, seat, sockets, on_ready)
        self._others = Others(settings, rest, sockets)

    def run(self) -> int:
        return super().run() or int(self.seat.tally("lost").total > 0)

    async def serve(self) -> None:
        self._others.watch(self._one_has_ended)
        await super().serve()

    def hang_up(self) -> None:
        if self.seat.all_ready:
            self._others.hang_up()
        super().hang_up()

    async def _end(self) -> None:
        if self.seat.all_ready:
            await self._all_done()
        else:
            self._others.kill()  # they have no calls yet
        await self._others.end(LAST_WORDS)
        Process.end(self)

    def _one_has_ended(self, its: Seat) -> None:
        if its.tally("done").mine or self._ending:
            return
        self.seat.tally("lost").mine = 1  # as everybody who has calls will see
        if not self.seat.all_ready:
            self.end()


class Others:
    """The processes beside the first one, as that one sees them."""

    def __init__(self, settings: Settings, seats: Sequence[Seat], sockets: Sequence[socket.socket]) -> None:
        tie_children()
        context = get_context("spawn")
        self._processes = {
            seat.index: context.Process(target=join, args=(settings, seat, sockets), name=f"{PROCESS}-{seat.index}")
            for seat in seats
        }
        self._seats = seats
        self._ends: list[asyncio.Task[None]] = []
        for process in self._processes.values():
            process.start()

    def watch(self, ended: Callable[[Seat], None]) -> None:
        """Tell of every end."""
        self._ends = [asyncio.create_task(self._watch(seat, ended)) for seat in self._seats]

    def hang_up(self) -> None:
        for process in self._processes.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, HANG_UP)

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()

    async def end(self, patience: float) -> None:
        """Wait for all to end; whoever has not after so many seconds is killed."""
        await asyncio.wait(self._ends, timeout=patience)
        self.kill()

    async def _watch(self, seat: Seat, ended: Callable[[Seat], None]) -> None:
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        sentinel = self._processes[seat.index].sentinel
        loop.add_reader(sentinel, gone.set)
        await gone.wait()
        loop.remove_reader(sentinel)
        ended(seat)


def join(settings: Settings, seat: Seat, sockets: Sequence[socket.socket]) -> None:
    """In a process that the first one has started."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    configure_logging(settings.telemetry.log_level, settings.telemetry.log_format)
    leave(Other(settings, seat, sockets).run())
