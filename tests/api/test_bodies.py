"""Large bodies share a budget; small ones are always read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.api.body import SMALL, BodyBudget
from server.errors import Unavailable
from server.settings import HttpSettings
from tests.test_app import CHAT, HELLO, House, body

JSON = {"Content-Type": "application/json"}
LARGE = 4 * SMALL


async def held(arrived: asyncio.Event, end: asyncio.Event) -> AsyncIterator[bytes]:
    """A large body whose last byte waits."""
    yield b" " * LARGE
    arrived.set()
    await end.wait()


@pytest.fixture
def house() -> House:
    house = House(lambda _: HELLO)
    house.settings = house.settings.model_copy(update={"http": HttpSettings(max_bodies=LARGE)})
    return house


async def test_a_large_body_beside_another_is_refused_and_a_small_one_is_not(house: House) -> None:
    arrived, end = asyncio.Event(), asyncio.Event()
    large = " " * LARGE
    async with house.open() as client:
        first = asyncio.create_task(client.post(CHAT, content=held(arrived, end), headers=JSON))
        await arrived.wait()
        refused = await client.post(CHAT, content=large.encode(), headers=JSON)
        small = await client.post(CHAT, json=body())
        end.set()
        assert (await first).status_code == 400  # nothing but blanks
        afterwards = await client.post(CHAT, json=body(user=large))
    assert (refused.status_code, refused.headers["connection"], refused.headers["retry-after"]) == (503, "close", "1")
    assert refused.json()["error"]["type"] == "service_unavailable"
    assert (small.status_code, afterwards.status_code) == (200, 200)


async def test_who_goes_in_the_middle_gives_back_what_he_held(house: House) -> None:
    async with house.open() as client:
        for _ in range(3):
            arrived = asyncio.Event()
            sending = asyncio.create_task(client.post(CHAT, content=held(arrived, asyncio.Event()), headers=JSON))
            await arrived.wait()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert (await client.post(CHAT, json=body(user=" " * LARGE))).status_code == 200


def test_a_body_larger_than_the_budget_is_read_when_there_is_no_other() -> None:
    budget = BodyBudget(SMALL)
    with budget.share() as first:
        first(10 * SMALL)
        with budget.share() as second:
            second(SMALL)
            with pytest.raises(Unavailable):
                second(SMALL + 1)
        with budget.share() as third:
            first(11 * SMALL)
            third(10)
    assert budget.held == 0
