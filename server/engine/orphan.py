"""The processes that this one starts live and die with it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


class Tie:
    """Ties whoever reads it, as one of its first acts, to the process that has written it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return tied_to, (os.getpid(),)


def tie_children() -> None:
    """From now on be followed by all processes that are spawned, and by theirs."""
    # A new process is handed a copy of this before it knows what it is for. Nothing else reaches the engine's process
    # before it waits for the server's first word; vLLM's plugins come after that.
    multiprocessing.current_process()._config["electron_tie"] = Tie()  # type: ignore[attr-defined]  # it has no other name


def tied_to(parent: int) -> Tie:
    """In a new process: be killed when the parent ends, however it does, and leave Ctrl-C to the parent.

    The kernel's signal comes when the thread ends that started the process, so that thread has to outlive it.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)
    return Tie()
