"""The warm endpoint around a scripted engine: what it costs, and what it leaves behind."""

import asyncio

from server.errors import EngineFailed
from server.lifecycle import Model
from server.parsing import FAMILIES
from server.protocol import ChatRequest
from server.records import GrammarState, Prompt, Sampling
from server.settings import Settings
from tests.test_app import CHAT, House, Words, body, until

WARM = CHAT + "/warm"


class Warming(Words):
    def warm(self, request: ChatRequest, owner: str | None = None) -> tuple[Prompt, GrammarState]:
        return Prompt([0] * 7, Sampling(max_tokens=1), grammar="root ::="), "compiled"


class WarmHouse(House):
    def load(self, settings: Settings) -> Model:
        return Model(Warming(), self.engine, FAMILIES["hermes"])

    def total(self, name: str) -> float:
        labels = {"model": "electron", "plan": "local"}
        return self.lifecycle.desk.metrics.registry.get_sample_value(f"electron_{name}_total", labels) or 0.0


async def test_one_token_is_generated_and_not_counted() -> None:
    house = WarmHouse(lambda _: ["Hello", " there"])
    async with house.open() as client:
        answer = (await client.post(WARM, json=body())).json()
    assert [len(prompt.token_ids) for prompt in house.engine.prompts] == [7]
    assert (answer["object"], answer["grammar"], answer["model"]) == ("chat.completion.warm", "compiled", "electron")
    assert (answer["prompt_tokens"], answer["cached_tokens"]) == (7, 0)
    assert answer["id"].startswith("warm-") and answer["duration"] >= 0
    assert (house.count("stop"), house.total("prompt_tokens"), house.total("generated_tokens")) == (1, 7, 0)
    assert house.lifecycle.gate.in_flight == 0


async def test_an_engine_that_fails_is_an_error_in_the_envelope() -> None:
    fails = False
    house = WarmHouse(lambda _: [EngineFailed("It died.")] if fails else ["Hello"])
    async with house.open() as client:
        fails = True
        answer = await client.post(WARM, json=body())
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "upstream_error")
    assert house.count("error") == 1
    assert house.lifecycle.gate.in_flight == 0


async def test_a_full_house_has_no_room_to_warm() -> None:
    house = WarmHouse(lambda _: ["Hello"], in_flight=1)
    async with house.open() as client:
        house.engine.gate.clear()
        first = asyncio.create_task(client.post(WARM, json=body()))
        await until(lambda: house.engine.running == 1)
        second = await client.post(WARM, json=body())
        house.engine.gate.set()
        assert (await first).status_code == 200
    assert second.status_code == 503
