"""vLLM's processes live and die with the server's. A plugin of vLLM: it is called in each of them."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def activate() -> None:
    """In a process of the engine: be killed when the parent ends, however it does, and leave Ctrl-C to the parent.

    The kernel's signal comes when the thread ends that started the process, so that thread has to outlive it.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return  # the server itself
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:  # it ended before that
        os._exit(1)
