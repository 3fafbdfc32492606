"""The engine core's workers. vLLM takes more than a second to say that one has died; the system knows at once."""

import psutil

from server.processes import engine_processes

TITLE = "Worker"  # in what vLLM calls such a process


class Workers:
    """Those that there are when this is made: without one of them the engine has come to its end.

    There are none where the model runs in the engine core's own process.
    """

    def __init__(self) -> None:
        cores = [psutil.Process(child.pid) for child in engine_processes()]
        self._workers = [child for core in cores for child in core.children() if TITLE in child.name()]

    def all_alive(self) -> bool:
        """Costs a look into /proc for each."""
        return all(map(_alive, self._workers))


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
