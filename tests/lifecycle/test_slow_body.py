"""A body must come in whole and in time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.settings import HttpSettings
from tests.test_app import CHAT, HELLO, House


async def dripping() -> AsyncIterator[bytes]:
    """One byte after the other, for ever."""
    while True:
        yield b" "
        await asyncio.sleep(0.001)


async def stuck() -> AsyncIterator[bytes]:
    yield b'{"model": '
    await asyncio.Event().wait()


@pytest.mark.parametrize("body", [dripping, stuck])
async def test_a_body_that_does_not_end_in_time_holds_no_place(body: object) -> None:
    house = House(lambda _: HELLO)
    house.settings = house.settings.model_copy(update={"http": HttpSettings(read_timeout=0.05)})
    async with house.open() as client:
        response = await client.post(CHAT, content=body(), headers={"Content-Type": "application/json"})
        assert house.lifecycle.gate.in_flight == 0
    assert (response.status_code, response.headers["connection"]) == (408, "close")
    assert response.json()["error"]["type"] == "invalid_request_error"
