"""A dead worker is noticed before whoever started it has noticed."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

import psutil
from setproctitle import setproctitle

from server.engine.workers import Workers

SPAWN = multiprocessing.get_context("spawn")


def worker(told: Connection) -> None:
    setproctitle("VLLM::Worker_TP0")
    told.send(os.getpid())
    signal.pause()


def core(told: Connection) -> None:
    """It does not look after its worker."""
    process = SPAWN.Process(target=worker, args=(told,))
    process.start()
    signal.pause()


def test_the_death_of_a_worker() -> None:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=core, args=(theirs,))
    process.start()
    try:
        worker_process = psutil.Process(ours.recv())
        workers = Workers()
        assert workers.all_alive()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)  # what is busy looks after nothing
        worker_process.kill()
        while worker_process.status() != psutil.STATUS_ZOMBIE:
            pass
        assert not workers.all_alive()
    finally:
        process.kill()
        process.join()
    psutil.wait_procs([worker_process])  # whoever inherited it has taken note of its end
    assert not workers.all_alive()


def test_without_workers_none_is_missed() -> None:
    assert Workers().all_alive()
