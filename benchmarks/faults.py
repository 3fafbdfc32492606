"""What callers see of each fault, and how long it lasts: a table for the README.

python -m benchmarks.faults            # as root, or with user namespaces: one fault fills a disk of its own
python -m benchmarks.faults --only clock --readme   # and put what was seen into the README's table
"""

import argparse
import asyncio
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.callers import Callers, body, call, outcomes, talk
from benchmarks.voice.environment import environment
from benchmarks.voice.readme import README
from tests.admission.conftest import RedisServer
from tests.conftest import Server
from tests.faults.surroundings import Surroundings
from tests.faults.test_clients import reset_at_every_stage
from tests.lifecycle.processes import (
    LIMIT,
    PRESSED,
    as_pid_1,
    causes,
    engine_core,
    family,
    gauge,
    heeds,
    served_by,
    survivors,
    until,
    wait_for,
)
from tests.telemetry.helpers import postgres_server

CALLERS = 6
RESTART = "lifecycle.restarts=1"
DRAIN = ("lifecycle.drain_pause=1", "lifecycle.drain_timeout=3")
WORKER = ("engine.distributed_executor_backend=mp", RESTART)
BEFORE, DURING = 2.0, 5.0  # seconds of calls before a fault, and in one that passes
SETTLING = 3.0  # seconds: a row is written a moment after its caller has the answer
NOTICED = 0.5  # seconds: the watchdog looks four times in each
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Seen:
    """heard: seconds from the harm until the last call had ended; of a fault that passes, the longest call.
    after: seconds until calls are taken again and nothing is left to be made good, or until the process has ended.
    status: of a process that ended."""

    outcomes: Counter[str]
    heard: float
    after: float
    status: int | None
    recorded: int
    admitted: int


@dataclass(frozen=True, slots=True)
class Blow:
    """harm: done once to a server in the middle of six calls of so many words and tokens."""

    name: str
    harm: Callable[[Server], None]
    settings: tuple[str, ...] = ()
    tokens: int = 20_000
    words: int = 20
    wrapper: tuple[str, ...] = ()

    async def seen(self, folder: Path) -> Seen:
        with Server(folder / "log.txt", *self.settings, wrapper=self.wrapper) as server:
            await asyncio.to_thread(server.wait_until_ready)
            async with httpx.AsyncClient(base_url=server.root, timeout=300) as client:
                bodies = [talk(number, tokens=self.tokens, words=self.words) for number in range(CALLERS)]
                running = [asyncio.create_task(call(client, one)) for one in bodies]
                await until(lambda: _all_inside(client))
                await asyncio.sleep(BEFORE)
                children, harmed = family(server), time.monotonic()
                self.harm(server)
                calls = await asyncio.gather(*running)
            after, status = await _aftermath(server, harmed)
            assert status is None or survivors(children) == []
            await asyncio.to_thread(server.stop)
            if status == -signal.SIGKILL:  # the next one writes down what this one could not
                await asyncio.to_thread(_restarted, folder)
        heard = max(one.ended for one in calls) - harmed
        return Seen(outcomes(calls), heard, after, status, causes(folder).total(), CALLERS)


@dataclass(frozen=True, slots=True)
class Ending:
    """SIGTERM to a server that nobody calls yet, as soon as its log has these words."""

    name: str
    moment: str

    async def seen(self, folder: Path) -> Seen:
        with Server(folder / "log.txt", *DRAIN, wrapper=as_pid_1()) as server:
            await asyncio.to_thread(wait_for, lambda: heeds(server, signal.SIGTERM))
            await asyncio.to_thread(wait_for, lambda: self.moment in server.log.read_text())
            children, harmed = family(server), time.monotonic()
            served_by(server).send_signal(signal.SIGTERM)
            status = await asyncio.to_thread(server.process.wait, LIMIT)
            after = time.monotonic() - harmed
            assert survivors(children) == []
        return Seen(Counter(), 0.0, after, status, 0, 0)


Act = Callable[[Surroundings], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that a server stands on goes, and comes back five seconds later, while calls follow one another.

    whole: gauges that say so when nothing is left to be made good. database: PostgreSQL keeps the ledger.
    """

    name: str
    harm: Act
    mend: Act
    whole: tuple[tuple[str, float], ...] = (("electron_ledger_pending", 0), ("electron_ledger_lag_seconds", 0))
    database: bool = True

    async def seen(self, folder: Path) -> Seen:
        redis = RedisServer()
        redis.start()
        try:
            with postgres_server() as postgres:
                around = Surroundings(folder, redis, postgres if self.database else None)
                with around.server as server:
                    await asyncio.to_thread(server.wait_until_ready)
                    async with httpx.AsyncClient(base_url=server.root, timeout=300, headers=around.headers) as client:
                        return await self._suffered(around, client)
        finally:
            redis.stop()

    async def _suffered(self, around: Surroundings, client: httpx.AsyncClient) -> Seen:
        callers = Callers(client, CALLERS, lambda number: body(number, stream=True, max_tokens=16))
        calling = asyncio.create_task(callers.run())
        await asyncio.sleep(BEFORE)
        await self.harm(around)
        await asyncio.sleep(DURING)
        await self.mend(around)
        mended = time.monotonic()
        callers.stop.set()
        await calling
        await until(lambda: self._made_good(client))
        after = time.monotonic() - mended
        await asyncio.sleep(SETTLING)
        recorded, admitted = (await around.causes()).total(), int(await gauge(client, "electron_requests_total"))
        assert await asyncio.to_thread(around.server.stop) == 0
        assert admitted >= sum(one.admitted for one in callers.calls)
        longest = max(one.ended - one.started for one in callers.calls)
        return Seen(outcomes(callers.calls), longest, after, None, recorded, admitted)

    async def _made_good(self, client: httpx.AsyncClient) -> bool:
        ready = (await client.get("/readyz")).status_code == 200
        return ready and all([await gauge(client, name) == value for name, value in self.whole])


async def _all_inside(client: httpx.AsyncClient) -> bool:
    return await gauge(client, "electron_requests_in_flight") == CALLERS


async def _aftermath(server: Server, harmed: float) -> tuple[float, int | None]:
    """After how many seconds it was healthy again, or had ended with a status."""
    await asyncio.sleep(NOTICED)
    try:
        await asyncio.to_thread(server.wait_until_ready)
    except RuntimeError:
        status = await asyncio.to_thread(server.process.wait, LIMIT)
        return time.monotonic() - harmed, status
    return time.monotonic() - harmed, None


def _restarted(folder: Path) -> None:
    with Server(folder / "again.txt") as server:
        server.wait_until_ready()
        server.stop()


def _signal(find: Callable[[Server], psutil.Process], number: signal.Signals) -> Callable[[Server], None]:
    return lambda server: find(server).send_signal(number)


def _worker(server: Server) -> psutil.Process:
    return engine_core(server).children()[0]


def _twice(server: Server) -> None:
    """SIGTERM, and another one when it has been heeded."""
    served_by(server).send_signal(signal.SIGTERM)
    time.sleep(NOTICED)
    served_by(server).send_signal(signal.SIGTERM)


async def _starve(around: Surroundings) -> None:
    process = served_by(around.server)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), process.rlimit(psutil.RLIMIT_NOFILE)[1]))


async def _feed(around: Surroundings) -> None:
    process = served_by(around.server)
    most = process.rlimit(psutil.RLIMIT_NOFILE)[1]
    process.rlimit(psutil.RLIMIT_NOFILE, (most, most))


async def _fill(around: Surroundings) -> None:
    around.fill_disk()


async def _free(around: Surroundings) -> None:
    around.free_disk()


async def _redis_stops(around: Surroundings) -> None:
    around.redis.stop()


async def _redis_starts(around: Surroundings) -> None:
    await asyncio.to_thread(around.redis.start)


async def _database_stops(around: Surroundings) -> None:
    assert around.postgres is not None
    await asyncio.to_thread(around.postgres.stop)


async def _database_starts(around: Surroundings) -> None:
    assert around.postgres is not None
    await asyncio.to_thread(around.postgres.start)


async def _both_go(around: Surroundings) -> None:
    await _database_stops(around)
    around.fill_disk()


async def _both_come(around: Surroundings) -> None:
    around.free_disk()
    await _database_starts(around)


async def _clock_forwards(around: Surroundings) -> None:
    around.set_clock(DAY)


async def _clock_back(around: Surroundings) -> None:
    around.set_clock(-DAY)


async def _resets(around: Surroundings) -> None:
    for _ in range(20):
        await reset_at_every_stage(around.server, stream=True, key=around.headers["Authorization"])


async def _nothing(around: Surroundings) -> None:
    """It passes by itself."""


UP = (("electron_ledger_up", 1.0), ("electron_ledger_pending", 0), ("electron_ledger_lag_seconds", 0))
FAULTS: tuple[Blow | Ending | Outage, ...] = (
    Ending("SIGTERM as PID 1, at the first moment", ""),
    Ending("SIGTERM as PID 1, loading", "the model is loading"),
    Ending("SIGTERM as PID 1, the engine starts", "tool calls as"),
    Ending("SIGTERM as PID 1, warming up", "warming up"),
    Ending("SIGTERM as PID 1, ready", "ready; try"),
    Blow("SIGTERM as PID 1, 3 s to drain", _signal(served_by, signal.SIGTERM), DRAIN, wrapper=as_pid_1()),
    Blow("SIGTERM as PID 1, and again", _twice, ("lifecycle.drain_timeout=600",), wrapper=as_pid_1()),
    Blow("engine killed, process ends", _signal(engine_core, signal.SIGKILL)),
    Blow("engine killed, replaced in place", _signal(engine_core, signal.SIGKILL), (RESTART,)),
    Blow("worker killed, replaced in place", _signal(_worker, signal.SIGKILL), WORKER),
    Blow(
        "engine hangs (SIGSTOP), window of 5 s",
        _signal(engine_core, signal.SIGSTOP),
        (RESTART, "lifecycle.stall_window=5"),
    ),
    Blow("server killed", _signal(served_by, signal.SIGKILL)),
    Blow("KV cache for two of the six calls", lambda server: None, PRESSED, tokens=300, words=300),
    Outage("no file descriptors left", _starve, _feed),
    Outage("clients reset connections at every stage", _resets, _nothing, (("electron_requests_in_flight", 0),)),
    Outage("disk full: ledger (SQLite) and log", _fill, _free, database=False),
    Outage("PostgreSQL of the ledger away", _database_stops, _database_starts, UP),
    Outage("PostgreSQL away and disk full", _both_go, _both_come, UP),
    Outage("Redis of the limits away", _redis_stops, _redis_starts, (("electron_limit_store_up", 1), *UP)),
    Outage("clock a day ahead, then two days back", _clock_forwards, _clock_back),
)


HEAD = "| fault, under six calls at once | what they got | within | then | calls in the ledger | commit |"
TABLE = re.compile(re.escape(HEAD) + r"\n\|[-|]+\|\n(?P<rows>(?:\|.*\|\n)*)")


def row(fault: Blow | Ending | Outage, found: Seen, commit: str) -> str:
    heard = ", ".join(f"{number} x {outcome}" for outcome, number in found.outcomes.most_common())
    within = f"{found.heard:.1f} s" if heard else ""
    state = "healthy" if found.status is None else f"exit status {found.status}"
    ledger = f"{found.recorded} of {found.admitted}" if heard else ""
    then = f"{state} after {found.after:.1f} s"
    return f"| {fault.name} | {heard or 'nobody called'} | {within} | {then} | {ledger} | {commit} |"


def filled(text: str, new: str) -> str:
    """The README with a row in place of what it had on that fault; in the order of FAULTS."""
    table = TABLE.search(text)
    assert table, "there is no table to put it into"
    rows = {line.split("|")[1].strip(): line for line in [*table["rows"].splitlines(), new]}
    kept = "".join(rows[fault.name] + "\n" for fault in FAULTS if fault.name in rows)
    return text[: table.start("rows")] + kept + text[table.end("rows") :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults with this in their name")
    parser.add_argument("--readme", action="store_true", help="put the rows into the README")
    options = parser.parse_args()
    commit = str(environment()["commit"])
    print(f"{HEAD}\n|---|---|---|---|---|---|")
    for fault in FAULTS:
        if options.only in fault.name:
            with tempfile.TemporaryDirectory() as folder:
                new = row(fault, asyncio.run(fault.seen(Path(folder))), commit)
            print(new, flush=True)
            if options.readme:
                README.write_text(filled(README.read_text(encoding="utf-8"), new), encoding="utf-8")


if __name__ == "__main__":
    main()
