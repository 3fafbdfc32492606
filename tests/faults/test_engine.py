"""The engine dies or hangs under load: every call hears of it, nothing is lost, what can be restarted is."""

import asyncio
import signal
from pathlib import Path

import httpx
import psutil

from benchmarks.callers import call, outcomes, talk
from tests.conftest import Server
from tests.lifecycle.processes import LIMIT, causes, engine_core, family, gauge, survivors, until

CALLERS = 6
GENERATED = "vllm:generation_tokens_total"


async def calls_while(server: Server, harm: psutil.Process, number: signal.Signals) -> dict[str, int]:
    """How calls end whose engine gets a signal in the middle."""
    async with httpx.AsyncClient(
        base_url=server.root, timeout=120, limits=httpx.Limits(max_connections=None)
    ) as client:
        before = await gauge(client, GENERATED)
        running = [asyncio.create_task(call(client, talk(n, stream=n % 2 == 0))) for n in range(CALLERS)]
        await until(lambda: all_at_work(client, before))
        harm.send_signal(number)
        return outcomes(await asyncio.gather(*running))


def engine(server: Server) -> list[psutil.Process]:
    """Core and worker."""
    core = engine_core(server)
    return [core, *core.children()]


async def all_at_work(client: httpx.AsyncClient, before: float) -> bool:
    """Every stream has begun: tokens come to all of them alike, and a first word needs no more than a few."""
    running = await gauge(client, "vllm:num_requests_running")
    return running == CALLERS and await gauge(client, GENERATED) - before >= CALLERS * 40


LOST = {"error event upstream_error": CALLERS // 2, "502 upstream_error": CALLERS // 2}


SETTINGS = ("lifecycle.restarts=2", "lifecycle.stall_window=5", "engine.distributed_executor_backend=mp")


async def test_a_hung_engine_and_a_dead_worker_are_replaced_and_one_death_more_ends_the_process(tmp_path: Path) -> None:
    with Server(tmp_path / "log.txt", *SETTINGS) as server:
        await asyncio.to_thread(server.wait_until_ready)
        first = engine(server)
        assert await calls_while(server, engine_core(server), signal.SIGSTOP) == LOST
        assert survivors(first) == []
        await asyncio.to_thread(server.wait_until_ready)
        second, (worker,) = engine(server), engine_core(server).children()
        assert await calls_while(server, worker, signal.SIGKILL) == LOST
        assert survivors(second) == []
        await asyncio.to_thread(server.wait_until_ready)
        third = family(server)
        assert await calls_while(server, engine_core(server), signal.SIGKILL) == LOST
        assert await asyncio.to_thread(server.process.wait, LIMIT) == 1
        assert survivors(third) == []
        assert causes(tmp_path) == {"error": 3 * CALLERS}
