"""One process that serves: the listener, the signals, the exit status."""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NoReturn

import uvicorn
import uvloop

from server.api.connection import Connection
from server.app import create_app
from server.lifecycle import Lifecycle, load
from server.processes import Seat
from server.serving.listener import Listener, SharedListener
from server.settings import Settings

PROMPT_WORKERS = 2
SWITCH = 0.0005  # seconds after which a thread that builds a prompt lets the event loop have its turn
SIGNALS = (signal.SIGTERM, signal.SIGINT)
LINGER = 2  # seconds that connections have to close after the last answer
DESCRIPTORS = 2**16  # every call takes one, and many systems give 1,024 to whoever does not ask for more


def _nothing() -> None:
    """Nobody wants to know."""


class Process:
    """The only one, or what those that share an engine have in common.

    sockets: to listen at, with the others; none: one of its own.

    Raises:
        SettingsError: keys, limits or the ledger cannot be used as configured.
    """

    signals: Sequence[signal.Signals] = SIGNALS

    def __init__(
        self,
        settings: Settings,
        seat: Seat,
        sockets: Sequence[socket.socket] = (),
        on_ready: Callable[[], None] = _nothing,
    ) -> None:
        sys.setswitchinterval(SWITCH)
        ask_for_descriptors()
        workers = ThreadPoolExecutor(PROMPT_WORKERS, thread_name_prefix="prompt")
        self.seat = seat
        self.lifecycle = Lifecycle(
            settings, workers, partial(load, seat=seat), on_ready=on_ready, on_end=self.end, seat=seat
        )
        self._sockets = list(sockets)
        config = _config(settings, self.lifecycle)
        self._listener = SharedListener(config, seat.tally("connections")) if sockets else Listener(config)

    def run(self) -> int:
        """Until a signal, or until the engine is lost. The exit status, not 0 where it was lost."""
        uvloop.run(self.serve())
        return 1 if self.lifecycle.phase == "failed" else 0

    async def serve(self) -> None:
        for number in self.signals:
            asyncio.get_running_loop().add_signal_handler(number, self.hang_up)
        await self._listener.serve(self._sockets or None)

    def hang_up(self) -> None:
        """A signal has come."""
        self.lifecycle.hang_up()

    def end(self) -> None:
        """Nothing more will be answered."""
        self._listener.should_exit = True


def ask_for_descriptors() -> None:
    """As many as are wanted, or as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _config(settings: Settings, lifecycle: Lifecycle) -> uvicorn.Config:
    http = settings.http
    return uvicorn.Config(
        create_app(settings, lifecycle),
        host=http.host,
        port=http.port,
        http=partial(Connection, http_settings=http),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        timeout_keep_alive=http.keep_alive,
        timeout_graceful_shutdown=LINGER,
        access_log=False,
        server_header=False,
        log_config=None,
    )


def leave(status: int) -> NoReturn:
    """At once: a thread that loads a model or builds a prompt would hold up the exit. All records are kept by now."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    logging.shutdown()
    with suppress(OSError):  # the disk that it goes to may be full
        sys.stdout.flush()
    os._exit(status)
