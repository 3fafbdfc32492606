"""One process that serves: the listener, the signals, the exit status."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import uvicorn

from server.api.connection import Connection
from server.app import create_app
from server.lifecycle import Lifecycle
from server.settings import Settings

PROMPT_WORKERS = 2
SIGNALS = (signal.SIGTERM, signal.SIGINT)
LINGER = 2  # seconds that connections have to close after the last answer


class Listener(uvicorn.Server):
    """uvicorn without its answer to signals, which is to close the listener first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings, on_ready: Callable[[], None]) -> NoReturn:
    """Serve until a signal, or until the engine is lost; then leave with status 0, or 1.

    Raises:
        SettingsError: keys, limits or the ledger cannot be used as configured.
    """
    workers = ThreadPoolExecutor(PROMPT_WORKERS, thread_name_prefix="prompt")
    lifecycle = Lifecycle(settings, workers, on_ready=on_ready, on_end=lambda: setattr(listener, "should_exit", True))
    listener = Listener(_config(settings, lifecycle))
    asyncio.run(_serve(listener, lifecycle))
    _leave(1 if lifecycle.phase == "failed" else 0)


async def _serve(listener: Listener, lifecycle: Lifecycle) -> None:
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, lifecycle.hang_up)
    await listener.serve()


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


def _leave(status: int) -> NoReturn:
    """At once: a thread that loads a model or builds a prompt would hold up the exit. All records are kept by now."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)
