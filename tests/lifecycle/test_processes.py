"""Real processes: they start and end with their parent, with status 0 when they were asked to."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from benchmarks.callers import COMPLETE, call, outcomes, talk
from tests.conftest import Server
from tests.lifecycle.processes import LIMIT, as_pid_1, causes, family, gauge, served_by, survivors, until, wait_for

PRESSED = (  # a KV cache for two callers' prompts, but not for their answers
    "model.context_window=2048",
    "engine.kv_cache_memory_bytes=12582912",
    "lifecycle.drain_pause=0.2",
    "lifecycle.drain_timeout=2",
)


@pytest.mark.parametrize("moment", ["the model is loading", "tool calls as", "warming up", "ready; try"])
def test_sigterm_as_pid_1_while_nobody_calls(moment: str, tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt", wrapper=as_pid_1())
    wait_for(lambda: moment in server.log.read_text())
    children = family(server)
    served_by(server).send_signal(signal.SIGTERM)
    assert server.process.wait(LIMIT) == 0
    assert survivors(children) == []


async def test_sigterm_as_pid_1_under_load(tmp_path: Path) -> None:
    """With so few KV blocks that calls were preempted: they go on, and end as all others do."""
    server = Server(tmp_path / "log.txt", *PRESSED, wrapper=as_pid_1())
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


def test_who_is_killed_takes_the_engine_along(tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt")
    server.wait_until_ready()
    children = family(server)
    assert any("EngineCore" in child.name() for child in children)
    served_by(server).kill()
    assert survivors(children) == []
    assert server.process.wait(LIMIT) == -signal.SIGKILL
