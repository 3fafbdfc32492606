"""What a server stands on goes and comes back: calls are answered meanwhile, and all of them are in the ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import httpx
import pytest

from benchmarks.callers import COMPLETE, at_rest, body, call, outcomes, talk
from tests.admission.conftest import RedisServer
from tests.faults.surroundings import Surroundings
from tests.lifecycle.processes import gauge, until
from tests.telemetry.helpers import postgres_server

CALLS = 6
DAY = 86_400


class World:
    """The surroundings, a client of theirs, and how many of its calls there were."""

    def __init__(self, surroundings: Surroundings, client: httpx.AsyncClient) -> None:
        self.around = surroundings
        self.client = client
        self.calls = 0

    async def answered(self) -> None:
        """Calls, all of which are."""
        self.calls += CALLS
        calls = [call(self.client, body(number, stream=number % 2 == 0, max_tokens=4)) for number in range(CALLS)]
        assert outcomes(await asyncio.gather(*calls)) == {COMPLETE: CALLS}

    async def shows(self, name: str, value: float) -> None:
        async def shown() -> bool:
            return await gauge(self.client, name) == value

        await until(shown)

    async def holds_rows(self, least: int) -> bool:
        """In memory."""
        return await gauge(self.client, "electron_ledger_pending") >= least

    async def all_recorded(self) -> None:
        """Each of them once; a row is written a moment after its caller has the answer."""

        async def recorded() -> bool:
            return (await self.around.causes()).total() >= self.calls

        await until(recorded)
        await self.shows("electron_ledger_lag_seconds", 0)
        assert (await self.around.causes()).total() == self.calls


@asynccontextmanager
async def inhabited(around: Surroundings) -> AsyncIterator[World]:
    await asyncio.to_thread(around.server.wait_until_ready)
    async with httpx.AsyncClient(base_url=around.server.root, timeout=120, headers=around.headers) as client:
        yield World(around, client)
        assert await at_rest(client) == {}
    assert await asyncio.to_thread(around.server.stop) == 0


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[World]]:
    """One with its ledger in PostgreSQL, one with SQLite; they start at once."""
    redis = RedisServer()
    redis.start()
    async with AsyncExitStack() as stack:
        stack.callback(redis.stop)
        databases = (stack.enter_context(postgres_server()), None)
        arounds = [Surroundings(tmp_path_factory.mktemp("world"), redis, database) for database in databases]
        for around in arounds:
            stack.enter_context(around.server)
        yield [await stack.enter_async_context(inhabited(around)) for around in arounds]


@pytest.fixture(scope="module")
def world(worlds: list[World]) -> World:
    """With PostgreSQL."""
    return worlds[0]


async def test_the_store_of_the_limits(world: World) -> None:
    world.around.redis.stop()
    await world.answered()
    await world.shows("electron_limit_store_up", 0)
    await world.answered()
    world.around.redis.start()
    await world.shows("electron_limit_store_up", 1)
    await world.answered()
    await world.all_recorded()


async def test_the_ledgers_database_and_then_the_disk_too(world: World) -> None:
    """The journal takes over from the database, memory from the journal; and back."""
    postgres = world.around.postgres
    assert postgres is not None
    postgres.stop()
    await world.answered()
    await world.shows("electron_ledger_up", 0)
    world.around.fill_disk()
    for _ in range(3):  # a row or two still fit in what the last block has left
        await world.answered()
    await until(lambda: world.holds_rows(CALLS))
    world.around.free_disk()
    await world.shows("electron_ledger_pending", 0)
    postgres.start()
    await world.shows("electron_ledger_up", 1)
    await world.answered()
    await world.all_recorded()


async def test_the_disk_of_a_ledger_in_sqlite(worlds: list[World]) -> None:
    """Database and journal are on it, and the log: memory takes over from all of them."""
    world = worlds[1]
    await world.answered()
    await world.all_recorded()
    world.around.fill_disk()
    for _ in range(3):
        await world.answered()
    await until(lambda: world.holds_rows(CALLS))
    world.around.free_disk()
    await world.shows("electron_ledger_pending", 0)
    await world.shows("electron_ledger_up", 1)
    await world.answered()
    await world.all_recorded()


async def test_the_clock(world: World) -> None:
    """A day forwards, two days back, in the middle of calls: nothing waits, nothing expires, durations are true."""
    running = [asyncio.create_task(call(world.client, talk(number, tokens=150))) for number in range(CALLS)]
    world.calls += CALLS
    for offset in (DAY, -DAY):
        world.around.set_clock(offset)
        await world.answered()
    assert outcomes(await asyncio.gather(*running)) == {COMPLETE: CALLS}
    await world.all_recorded()
    assert world.around.postgres is not None
    connection = await asyncpg.connect(world.around.postgres.url)
    (spans,) = await connection.fetch(
        "SELECT max(started_at) - min(started_at), min(duration), max(duration) FROM electron_usage"
    )
    await connection.close()
    assert spans[0] > 2 * DAY - 3600
    assert 0 < spans[1] <= spans[2] < 3600
