"""What callers see of each fault, and how long it lasts: a table for the README.

python -m benchmarks.faults
"""

import asyncio
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.callers import call, outcomes, talk
from tests.conftest import Server
from tests.lifecycle.processes import causes, engine_core, gauge, until

CALLERS = 6
RESTART = "lifecycle.restarts=1"
DRAIN = ("lifecycle.drain_pause=1", "lifecycle.drain_timeout=3")


@dataclass(frozen=True, slots=True)
class Fault:
    """harm: done to a server in the middle of calls of so many tokens."""

    name: str
    harm: Callable[[Server], None]
    settings: tuple[str, ...] = ()
    tokens: int = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """heard, healthy: seconds after the harm, until the last call had ended and until new ones are taken again."""

    outcomes: Counter[str]
    heard: float
    healthy: float | None
    status: int | None
    recorded: int
    admitted: int


def _signal(find: Callable[[Server], psutil.Process], number: signal.Signals) -> Callable[[Server], None]:
    return lambda server: find(server).send_signal(number)


def _worker(server: Server) -> psutil.Process:
    return engine_core(server).children()[0]


def _server(server: Server) -> psutil.Process:
    return psutil.Process(server.process.pid)


def _starve(server: Server) -> None:
    """No further file descriptors, for as long as the calls last."""
    process = _server(server)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), process.rlimit(psutil.RLIMIT_NOFILE)[1]))


FAULTS = (
    Fault("SIGTERM, 3 s to drain", _signal(_server, signal.SIGTERM), DRAIN),
    Fault("engine killed, process ends", _signal(engine_core, signal.SIGKILL)),
    Fault("engine killed, replaced in place", _signal(engine_core, signal.SIGKILL), (RESTART,)),
    Fault(
        "engine hangs (SIGSTOP), window of 5 s",
        _signal(engine_core, signal.SIGSTOP),
        (RESTART, "lifecycle.stall_window=5"),
    ),
    Fault("worker killed", _signal(_worker, signal.SIGKILL), (RESTART, "engine.distributed_executor_backend=mp")),
    Fault("server killed", _signal(_server, signal.SIGKILL)),
    Fault("no file descriptors left", _starve, tokens=200),
    Fault(
        "KV cache for two of six calls",
        lambda server: None,
        ("model.context_window=2048", "engine.kv_cache_memory_bytes=12582912"),
        tokens=300,
    ),
)


async def seen(fault: Fault, folder: Path) -> Seen:
    server = Server(folder / "log.txt", *fault.settings)
    try:
        await asyncio.to_thread(server.wait_until_ready)
        async with httpx.AsyncClient(base_url=server.root, timeout=300) as client:
            words = 300 if fault.tokens == 300 else 20
            running = [
                asyncio.create_task(call(client, talk(n, tokens=fault.tokens, words=words))) for n in range(CALLERS)
            ]
            await until(lambda: _all_inside(client))
            harmed = time.monotonic()
            fault.harm(server)
            calls = await asyncio.gather(*running)
        healthy, status = await _aftermath(server, harmed)
    finally:
        server.stop()
    recorded = causes(folder).total()
    heard = max(one.ended for one in calls) - harmed
    return Seen(outcomes(calls), heard, healthy, status, recorded, sum(one.admitted for one in calls))


async def _all_inside(client: httpx.AsyncClient) -> bool:
    return await gauge(client, "electron_requests_in_flight") == CALLERS


async def _aftermath(server: Server, harmed: float) -> tuple[float | None, int | None]:
    """Healthy again after so many seconds, or ended with a status."""
    try:
        await asyncio.to_thread(server.wait_until_ready)
    except RuntimeError:
        return None, await asyncio.to_thread(server.process.wait, 60)
    return time.monotonic() - harmed, None


def row(fault: Fault, found: Seen) -> str:
    heard = ", ".join(f"{number} x {outcome}" for outcome, number in found.outcomes.most_common())
    after = f"exit status {found.status}" if found.healthy is None else f"healthy after {found.healthy:.1f} s"
    return f"| {fault.name} | {heard} | {found.heard:.1f} s | {after} | {found.recorded} of {found.admitted} |"


def main() -> None:
    print("| fault, with six calls running | what they got | within | then | calls in the ledger |")
    print("|---|---|---|---|---|")
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            print(row(fault, asyncio.run(seen(fault, Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
