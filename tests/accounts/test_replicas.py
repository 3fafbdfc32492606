"""Two replicas as one: their minute slides, what they share goes away and comes back, and at last one of them dies."""

import asyncio
from concurrent.futures import Future
from contextlib import AsyncExitStack

import openai
import pytest

from tests.accounts.callers import ask, calling, remaining, talking
from tests.accounts.fleet import Fleet, until
from tests.accounts.sliding import MINUTE, Minute

UP = "electron_limit_store_up"


async def test_the_window_slides(minute: Future[Minute]) -> None:
    """What was asked early leaves the minute first, and nothing else with it; on whichever server."""
    lived = await asyncio.wrap_future(minute)
    # In whole seconds, rounded up.
    assert lived.began + MINUTE - lived.full.after <= lived.full.wait <= lived.ended + MINUTE - lived.full.before + 1
    assert lived.late + MINUTE - lived.slid.after <= lived.slid.wait


async def test_redis_away_and_back(fleet: Fleet) -> None:
    """One server is configured to go on by its own books, the other to say no."""
    key, other = fleet.account("outage", "line"), fleet.account("outage-minute")
    async with calling(fleet.a, key) as open_one, calling(fleet.b, key) as closed_one, AsyncExitStack() as lines:
        held = [await lines.enter_async_context(talking(open_one)) for _ in range(2)]
        fleet.redis.stop()
        fleet.a.wait_for(UP, 0)
        fleet.b.wait_for(UP, 0)

        held.append(await lines.enter_async_context(talking(open_one)))
        with pytest.raises(openai.RateLimitError, match="Concurrency limit reached"):
            await ask(open_one)  # the two from before are still known
        async with calling(fleet.a, other) as client:
            assert [await remaining(client) for _ in range(10)] == [*reversed(range(10))]
            with pytest.raises(openai.RateLimitError, match="10 requests per minute"):
                await ask(client)
        with pytest.raises(openai.InternalServerError, match="cannot be checked") as refused:
            await ask(closed_one)
        assert refused.value.status_code == 503
        assert refused.value.response.json()["error"]["type"] == "service_unavailable"
        assert int(refused.value.response.headers["retry-after"]) >= 1

        fleet.redis.start()
        fleet.a.wait_for(UP, 1)
        fleet.b.wait_for(UP, 1)
        with pytest.raises(openai.RateLimitError, match="Concurrency limit reached"):
            await ask(closed_one)  # an empty Redis has been told what still runs, and the other server knows it again
        await held[0].close()
        await ask(closed_one)
    for replica in fleet.both:
        assert "limits: Redis is away" in replica.log.read_text()
        assert "limits: Redis is back" in replica.log.read_text()


async def talk_when_there_is_room(client: openai.AsyncOpenAI, lines: AsyncExitStack) -> None:
    while True:
        try:
            await lines.enter_async_context(talking(client))
            return
        except openai.RateLimitError:
            await asyncio.sleep(0.1)


async def test_a_killed_server_gives_its_leases_back(fleet: Fleet) -> None:
    """The last test of this folder: one server is left, and at the end none."""
    key = fleet.account("killed", "line")
    async with calling(fleet.a, key) as survivor, calling(fleet.b, key) as victim, AsyncExitStack() as lines:
        for _ in range(3):
            await lines.enter_async_context(talking(victim))
        fleet.b.kill()
        with pytest.raises(openai.RateLimitError, match="Concurrency limit reached"):
            await ask(survivor)
        async with asyncio.timeout(60), AsyncExitStack() as regained:
            for _ in range(3):
                await talk_when_there_is_room(survivor, regained)
            with pytest.raises(openai.RateLimitError, match="Concurrency limit reached"):
                await ask(survivor)
    until(lambda: fleet.a.series("electron_requests_in_flight") == 0)
    assert fleet.a.stop() == 0
