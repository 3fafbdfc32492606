"""Real servers as process trees, and what is left of them."""

import asyncio
import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil

from tests.conftest import Server

AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
LIMIT = 180.0  # seconds, on whatever machine
# A KV cache for two callers' prompts, but not for their answers.
PRESSED = ("model.context_window=2048", "engine.kv_cache_memory_bytes=12582912")


def as_pid_1() -> tuple[str, ...]:
    """A command in a process namespace of its own, as in a container."""
    return AS_PID_1 if os.geteuid() == 0 else (*AS_PID_1[:1], "--user", "--map-root-user", *AS_PID_1[1:])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Of another process, which can only be asked again and again."""
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110  # no event of ours tells
            await asyncio.sleep(0.05)


async def gauge(client: httpx.AsyncClient, name: str) -> float:
    """A series of the server's page, its labels summed up."""
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def served_by(server: Server) -> psutil.Process:
    """The server itself, without what wraps it."""
    process = psutil.Process(server.process.pid)
    return next(iter(process.children()), process) if process.name() == "unshare" else process


def heeds(server: Server, number: signal.Signals) -> bool:
    """Whether it has said what is to be done at that signal. Process 1 ignores all others."""
    process = served_by(server)
    if process.name() == "unshare":  # what its wrapper has begun is not a server yet
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def engine_core(server: Server) -> psutil.Process:
    (core,) = (child for child in served_by(server).children() if "EngineCore" in child.name())
    return core


def family(server: Server) -> list[psutil.Process]:
    return served_by(server).children(recursive=True)


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=LIMIT)[1]


def causes(directory: Path) -> Counter[str]:
    """How the requests in the ledger ended."""
    with sqlite3.connect(directory / "usage.db") as database:
        return Counter(cause for (cause,) in database.execute("SELECT cause FROM electron_usage"))
