"""What callers and probes hear in each phase, around a scripted engine."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import httpx
import orjson
import pytest

from server.engine.scripted import ScriptedEngine
from server.lifecycle import Model
from server.parsing import FAMILIES
from server.settings import LifecycleSettings, Settings
from tests.test_app import CHAT, HELLO, House, Words, body, until

NEVER = 3600.0


def house_with(**options: float) -> House:
    house = House(lambda _: HELLO)
    house.settings = house.settings.model_copy(update={"lifecycle": LifecycleSettings(**options)})
    return house


class Turnstile(asyncio.Event):
    """Lets one token pass before it is opened."""

    passed = False

    async def wait(self) -> Literal[True]:
        if not self.passed:
            self.passed = True
            return True
        return await super().wait()


async def busy(
    house: House, client: httpx.AsyncClient, headers: Mapping[str, str] | None = None, **options: object
) -> "asyncio.Task[httpx.Response]":
    """A request whose first token is out and whose others are not."""
    house.engine.gate = Turnstile()
    steps = house.engine.steps
    asking = asyncio.create_task(client.post(CHAT, json=body(**options), headers=headers))
    await until(lambda: house.engine.steps > steps)
    return asking


def last_event(response: httpx.Response) -> str:
    return response.text.rstrip("\n").split("\n\n")[-1]


def error_of(response: httpx.Response) -> dict[str, object]:
    event = last_event(response)
    assert event.startswith("event: error\ndata: ")
    return orjson.loads(event.split("data: ")[1])["error"]


async def test_while_draining_calls_end_and_new_ones_are_sent_away() -> None:
    house = house_with(drain_pause=0, drain_timeout=NEVER)
    async with house.open() as client:
        running = await busy(house, client, stream=True)
        house.lifecycle.hang_up()
        await until(lambda: house.lifecycle.phase == "draining")
        ready, alive = await client.get("/readyz"), await client.get("/livez")
        refused = await client.post(CHAT, json=body())
        assert house.ends == 0
        house.engine.gate.set()
        finished = await running
        await until(lambda: house.ends == 1)
    assert (ready.status_code, alive.status_code, refused.status_code) == (503, 200, 503)
    assert "shutting down" in ready.json()["error"]["message"]
    assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
    assert last_event(finished) == "data: [DONE]"
    assert house.count("stop") == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_what_outlives_the_deadline_ends_with_an_error_and_is_recorded(stream: bool) -> None:
    house = house_with(drain_pause=0, drain_timeout=0)
    async with house.open() as client:
        running = await busy(house, client, stream=stream)
        house.lifecycle.hang_up()
        response = await running
        await until(lambda: house.ends == 1)
    if stream:
        assert error_of(response)["type"] == "service_unavailable"
    else:
        assert (response.status_code, response.headers["connection"]) == (503, "close")
    assert house.count("drain") == 1
    assert house.lifecycle.gate.in_flight == 0


async def test_a_second_signal_hurries() -> None:
    house = house_with(drain_pause=NEVER, drain_timeout=NEVER)
    async with house.open() as client:
        running = await busy(house, client, stream=True)
        house.lifecycle.hang_up()
        await until(lambda: house.lifecycle.phase == "draining")
        house.lifecycle.hang_up()
        assert error_of(await running)["type"] == "service_unavailable"
        await until(lambda: house.ends == 1)


async def test_a_second_signal_ends_an_engine_that_takes_its_time() -> None:
    house = house_with(drain_pause=0, drain_timeout=0)
    engine = SlowToClose(lambda _: HELLO)
    async with house.open(lambda _: Model(Words(), engine, FAMILIES["hermes"])):
        house.lifecycle.hang_up()
        asyncio.get_running_loop().call_later(0.05, house.lifecycle.hang_up)
    assert engine.dead and engine.closed


class SlowToClose(ScriptedEngine):
    """Until it is killed."""

    async def close(self) -> None:
        while not self.dead:  # noqa: ASYNC110  # no event of ours tells
            await asyncio.sleep(0.01)
        await super().close()


async def test_while_loading_there_is_nothing_to_wait_for() -> None:
    house = house_with(drain_pause=NEVER, drain_timeout=NEVER)
    house.may_load.clear()
    async with house.open():
        house.lifecycle.hang_up()
        await until(lambda: house.ends == 1)
        assert house.lifecycle.loading
        house.may_load.set()
    assert house.engine.closed


@pytest.mark.parametrize("stream", [True, False])
async def test_a_dead_engine_is_told_to_everyone(stream: bool) -> None:
    house = house_with()
    async with house.open() as client:
        running = await busy(house, client, stream=stream)
        house.engine.dead = True
        response = await running
        await until(lambda: house.ends == 1)
        probes = [(await client.get(path)).status_code for path in ("/livez", "/readyz")]
        refused = await client.post(CHAT, json=body())
    error = error_of(response) if stream else response.json()["error"]
    assert error["type"] == "upstream_error"
    assert probes == [502, 502]
    assert (refused.status_code, house.lifecycle.phase) == (503, "failed")
    assert house.count("error") == 1


async def test_an_engine_that_hangs_with_work_is_killed() -> None:
    house = house_with(stall_window=0.5)
    async with house.open() as client:
        running = await busy(house, client, stream=True)
        assert error_of(await running)["type"] == "upstream_error"
        assert house.engine.dead
        assert (await client.get("/livez")).status_code == 502


@pytest.mark.parametrize("dead", [True, False])
async def test_an_engine_that_dies_or_hangs_while_it_warms_up_is_no_secret(dead: bool) -> None:
    house = house_with(stall_window=0.5)
    house.engine.dead = dead
    house.engine.gate.clear()
    async with house.open() as client:
        assert (await client.get("/livez")).status_code == 502
        assert (house.lifecycle.phase, house.ends) == ("failed", 1)
        assert house.engine.dead and house.engine.running == 0


async def test_a_dead_engine_is_replaced_in_place_as_often_as_is_allowed() -> None:
    engines: list[ScriptedEngine] = []

    def load(settings: Settings) -> Model:
        engines.append(ScriptedEngine(lambda _: HELLO))
        return Model(Words(), engines[-1], FAMILIES["hermes"])

    house = house_with(restarts=1)
    async with house.open(load) as client:
        engines[0].dead = True
        await until(lambda: len(engines) == 2 and house.lifecycle.phase == "ready")
        assert engines[0].closed
        answer = await client.post(CHAT, json=body())
        assert answer.json()["choices"][0]["message"]["content"] == "Hello!"
        assert house.ends == 0
        engines[1].dead = True
        await until(lambda: house.ends == 1)
    assert (len(engines), house.lifecycle.phase) == (2, "failed")


@pytest.mark.parametrize("stream", [True, False])
async def test_no_first_token_in_time(stream: bool) -> None:
    house = house_with()
    async with house.open() as client:
        house.engine.gate.clear()
        response = await client.post(CHAT, json=body(stream=stream), headers={"X-First-Token-Timeout": "0.01"})
        await until(lambda: house.engine.running == 0)
    assert (response.status_code, response.json()["error"]["type"]) == (504, "timeout_error")
    assert house.lifecycle.gate.in_flight == 0


async def test_no_end_in_time() -> None:
    house = house_with()
    async with house.open() as client:
        response = await (await busy(house, client, headers={"X-Request-Timeout": "0.05"}, stream=True))
    assert error_of(response)["type"] == "timeout_error"
    assert house.count("error") == 1


@pytest.mark.parametrize("value", ["", "soon", "0", "-1", "nan"])
async def test_a_deadline_that_is_none_is_refused_by_name(value: str) -> None:
    house = house_with()
    async with house.open() as client:
        response = await client.post(CHAT, json=body(), headers={"X-Request-Timeout": value})
    assert response.status_code == 400
    assert response.json()["error"]["details"][0]["path"] == ["X-Request-Timeout"]
