"""From the command line to a listening server."""

from collections.abc import Callable
from typing import NoReturn

from server.processes import alone, check_processes
from server.serving.process import Process, leave
from server.serving.several import run_several
from server.settings import Settings

__all__ = ["run"]


def run(settings: Settings, on_ready: Callable[[], None]) -> NoReturn:
    """Serve until a signal, or until the engine is lost; then leave with status 0, or 1.

    Raises:
        SettingsError: keys, limits, the ledger or several processes cannot be had as configured.
    """
    check_processes(settings)
    several = settings.http.processes > 1
    leave(run_several(settings, on_ready) if several else Process(settings, alone(), on_ready=on_ready).run())
