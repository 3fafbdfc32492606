"""The engine dies or hangs under load: every call hears of it, nothing is lost, what can be restarted is."""

import asyncio
import signal
from pathlib import Path

import httpx
import psutil

from benchmarks.callers import call, outcomes, talk
from tests.conftest import Server
from tests.lifecycle.processes import causes, engine_core, family, gauge, survivors, until, wait_for

CALLERS = 6


async def calls_while(server: Server, harm: psutil.Process, number: signal.Signals) -> dict[str, int]:
    """How calls end whose engine gets a signal in the middle."""
    async with httpx.AsyncClient(
        base_url=server.root, timeout=120, limits=httpx.Limits(max_connections=None)
    ) as client:
        running = [asyncio.create_task(call(client, talk(n, stream=n % 2 == 0))) for n in range(CALLERS)]
        await until(lambda: all_at_work(client))
        harm.send_signal(number)
        return outcomes(await asyncio.gather(*running))


async def all_at_work(client: httpx.AsyncClient) -> bool:
    return await gauge(client, "vllm:num_requests_running") == CALLERS


LOST = {"error event upstream_error": CALLERS // 2, "502 upstream_error": CALLERS // 2}


async def test_a_hung_engine_is_replaced_and_a_dead_one_ends_the_process(tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt", "lifecycle.restarts=1", "lifecycle.stall_window=5")
    server.wait_until_ready()
    first = engine_core(server)
    assert await calls_while(server, first, signal.SIGSTOP) == LOST
    await asyncio.to_thread(wait_for, lambda: not first.is_running())
    await asyncio.to_thread(server.wait_until_ready)
    second, children = engine_core(server), family(server)
    assert second.pid != first.pid
    assert await calls_while(server, second, signal.SIGKILL) == LOST
    assert await asyncio.to_thread(server.process.wait, 60) == 1
    assert survivors(children) == []
    assert causes(tmp_path) == {"error": 2 * CALLERS}


async def test_a_killed_worker_ends_the_process(tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt", "engine.distributed_executor_backend=mp")
    server.wait_until_ready()
    children = family(server)
    (worker,) = engine_core(server).children()
    assert await calls_while(server, worker, signal.SIGKILL) == LOST
    assert await asyncio.to_thread(server.process.wait, 60) == 1
    assert survivors(children) == []
    assert causes(tmp_path) == {"error": CALLERS}
