"""Real processes: they start and end with their parent, with status 0 when they were asked to."""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import orjson
import psutil

from benchmarks.callers import COMPLETE, body, call, outcomes, talk
from server.settings import LedgerSettings
from server.telemetry.ledger import Ledger
from tests.conftest import Server
from tests.lifecycle.processes import (
    LIMIT,
    PRESSED,
    as_pid_1,
    causes,
    family,
    gauge,
    heeds,
    served_by,
    survivors,
    until,
    wait_for,
)

DRAIN = ("lifecycle.drain_pause=0.2", "lifecycle.drain_timeout=2")


def ended(log: Path, moment: str) -> tuple[int, list[psutil.Process]]:
    """Exit status and what is left of a server that gets SIGTERM as process 1, as soon as its log has these words."""
    log.parent.mkdir()
    with Server(log, wrapper=as_pid_1()) as server:
        wait_for(lambda: heeds(server, signal.SIGTERM))
        wait_for(lambda: moment in server.log.read_text())
        children = family(server)
        served_by(server).send_signal(signal.SIGTERM)
        return server.process.wait(LIMIT), survivors(children)


def test_sigterm_as_pid_1_while_nobody_calls(tmp_path: Path) -> None:
    moments = ("", "the model is loading", "tool calls as", "warming up", "ready; try")
    logs = [tmp_path / str(number) / "log.txt" for number in range(len(moments))]
    with ThreadPoolExecutor() as threads:
        assert list(threads.map(ended, logs, moments)) == [(0, [])] * len(moments)


async def test_sigterm_as_pid_1_under_load(tmp_path: Path) -> None:
    """With so few KV blocks that calls were preempted: they go on, and end as all others do."""
    server = Server(tmp_path / "log.txt", *PRESSED, *DRAIN, wrapper=as_pid_1())
    server.wait_until_ready()
    children = family(server)
    async with httpx.AsyncClient(
        base_url=server.root, timeout=120, limits=httpx.Limits(max_connections=None)
    ) as client:
        running = [asyncio.create_task(call(client, talk(number, tokens=400, words=400))) for number in range(8)]
        await until(lambda: gauge(client, "vllm:num_preemptions_total"))
        served_by(server).send_signal(signal.SIGTERM)
        calls = await asyncio.gather(*running)
    assert await asyncio.to_thread(server.process.wait, LIMIT) == 0
    assert survivors(children) == []
    ends = outcomes(calls)
    assert set(ends) <= {COMPLETE, "error event service_unavailable", "503 service_unavailable"}
    assert causes(tmp_path) == {"length": ends[COMPLETE], "drain": len(calls) - ends[COMPLETE]}


def starts_its_engine(server: Server) -> bool:
    with suppress(psutil.NoSuchProcess):  # vLLM asks the system this and that by programs that end at once
        return any("spawn_main" in " ".join(child.cmdline()) for child in family(server))
    return False


def test_who_is_killed_while_the_engine_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    """The engine's process still waits for the server's first word."""
    with Server(tmp_path / "log.txt") as server:
        wait_for(lambda: starts_its_engine(server))
        children = family(server)
        server.process.kill()
        assert survivors(children) == []


async def test_who_is_killed_takes_the_engine_along_and_leaves_word_of_the_calls_at_work(tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt")
    server.wait_until_ready()
    children = family(server)
    assert any("EngineCore" in child.name() for child in children)
    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        assert (await call(client, body(max_tokens=2))).outcome == COMPLETE
        running = [asyncio.create_task(call(client, talk(number))) for number in range(3)]
        await until(lambda: noted(tmp_path, 3))
        served_by(server).kill()
        assert COMPLETE not in outcomes(await asyncio.gather(*running))
    assert survivors(children) == []
    assert await asyncio.to_thread(server.process.wait, LIMIT) == -signal.SIGKILL
    await restarted(tmp_path)
    assert causes(tmp_path) == {"length": 1, "crash": 3}


async def noted(folder: Path, calls: int) -> bool:
    """Whether the server has said of so many what they have come to, and that of each it is something."""
    with suppress(FileNotFoundError):  # a newer note has taken its place
        for file in (folder / "at_work").glob("*.jsonl"):
            rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
            return sum(row["generated_tokens"] > 0 for row in rows) == calls
    return False


async def restarted(folder: Path) -> None:
    """As far as the ledger is concerned."""
    ledger = Ledger(LedgerSettings(directory=folder), time.monotonic)
    await ledger.recover()
    await ledger.close()
