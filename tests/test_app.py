"""The whole application around a scripted engine: what only a misbehaving engine can show."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest

from server.app import create_app
from server.engine.scripted import Script, ScriptedEngine
from server.errors import EngineFailed
from server.lifecycle import Lifecycle, Model
from server.parsing import FAMILIES, Family
from server.protocol import ChatRequest, CompletionRequest
from server.records import Prompt, Sampling
from server.settings import (
    AdmissionSettings,
    HttpSettings,
    LedgerSettings,
    Settings,
    SpeechSettings,
    TelemetrySettings,
)

CHAT = "/v1/chat/completions"
HELLO = ["Hel", "lo", "!"]


class Words:
    """Prompts of one token for each message. tail, spoken: as in `Prompt`."""

    def __init__(self, tail: str = "", spoken: bool = False) -> None:
        self._tail, self._spoken = tail, spoken

    def chat(self, request: ChatRequest, owner: str | None = None) -> Prompt:
        sampling = Sampling(max_tokens=request.output_limit or 100)
        return Prompt([0] * len(request.messages), sampling, tail=self._tail, spoken=self._spoken)

    def completion(self, request: CompletionRequest) -> Prompt:
        return Prompt([0], Sampling(max_tokens=request.output_limit))


class House:
    """The application, its engine, and what it reported."""

    def __init__(
        self,
        script: Script,
        *,
        in_flight: int = 8,
        ping_interval: float = 60.0,
        family: Family = FAMILIES["hermes"],
        speech: SpeechSettings | None = None,
        tail: str = "",
        spoken: bool = False,
    ) -> None:
        self.engine = ScriptedEngine(script)
        self.family = family
        self.words = Words(tail, spoken)
        self.settings = Settings(
            speech=speech or SpeechSettings(),
            http=HttpSettings(ping_interval=ping_interval),
            admission=AdmissionSettings(max_in_flight=in_flight),
            telemetry=TelemetrySettings(ledger=LedgerSettings(enabled=False)),
        )
        self.may_load = threading.Event()
        self.may_load.set()
        self.ends = 0
        self.lifecycle: Lifecycle

    def load(self, settings: Settings) -> Model:
        self.may_load.wait()
        return Model(self.words, self.engine, self.family)

    def count_end(self) -> None:
        self.ends += 1

    @asynccontextmanager
    async def open(self, load: Callable[..., Model] | None = None) -> AsyncIterator[httpx.AsyncClient]:
        with ThreadPoolExecutor(1) as workers:
            lifecycle = Lifecycle(self.settings, workers, load or self.load, on_end=self.count_end)
            self.lifecycle = lifecycle
            app = create_app(self.settings, lifecycle)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            ):
                if self.may_load.is_set():
                    await until(lambda: lifecycle.phase in ("ready", "failed"))
                    self.engine.prompts.clear()
                yield client

    def count(self, outcome: str) -> float:
        """Requests that ended so, by the metric."""
        found = self.lifecycle.desk.metrics.registry.get_sample_value
        labels = {"model": "electron", "plan": "local", "outcome": outcome}
        return found("electron_requests_total", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    for _ in iter(condition, True):
        await asyncio.sleep(0)


def body(**options: object) -> dict[str, object]:
    return {"model": "electron", "messages": [{"role": "user", "content": "Hi"}], **options}


async def test_whole_and_streamed() -> None:
    house = House(lambda _: HELLO)
    async with house.open() as client:
        whole = (await client.post(CHAT, json=body())).json()
        streamed = (await client.post(CHAT, json=body(stream=True, stream_options={"include_usage": True}))).text
    assert whole["choices"][0]["message"]["content"] == "Hello!"
    assert whole["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 4,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    events = [orjson.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "Hello!"
    assert events[-1]["usage"] == whole["usage"]
    assert streamed.endswith("data: [DONE]\n\n")
    assert house.count("stop") == 2
    assert house.lifecycle.gate.in_flight == 0


async def test_tool_calls_come_back() -> None:
    call = '<tool_call>\n{"name": "look", "arguments": {"q": "x"}}\n</tool_call>'
    tools = [{"type": "function", "function": {"name": "look"}}]
    house = House(lambda _: ["One moment.\n", *call])
    async with house.open() as client:
        choice = (await client.post(CHAT, json=body(tools=tools, max_tokens=500))).json()["choices"][0]
        streamed = (await client.post(CHAT, json=body(tools=tools, max_tokens=500, stream=True))).text
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "One moment."
    (made,) = choice["message"]["tool_calls"]
    assert made["id"].startswith("call_") and made["type"] == "function"
    assert made["function"] == {"name": "look", "arguments": '{"q": "x"}'}
    deltas = [
        orjson.loads(line[6:])["choices"][0]["delta"] for line in streamed.splitlines() if line.startswith("data: {")
    ]
    assert not [delta for delta in deltas if "content" in delta and "tool_calls" in delta]
    entries = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert all(len(entry) == 1 and entry[0]["index"] == 0 for entry in entries)
    assert entries[0][0]["function"] == {"name": "look", "arguments": ""}
    assert "".join(entry[0]["function"]["arguments"] for entry in entries) == '{"q": "x"}'


@pytest.mark.parametrize("stream", [True, False])
async def test_an_engine_that_fails_before_its_first_token(stream: bool) -> None:
    fails = False
    house = House(lambda _: [EngineFailed("It died.")] if fails else HELLO)
    async with house.open() as client:
        fails = True
        response = await client.post(CHAT, json=body(stream=stream))
    assert (response.status_code, response.json()["error"]["type"]) == (502, "upstream_error")


async def test_an_engine_that_fails_in_the_middle() -> None:
    fails = False
    house = House(lambda _: ["Hel", EngineFailed("It died.")] if fails else HELLO)
    async with house.open() as client:
        fails = True
        whole = await client.post(CHAT, json=body())
        streamed = await client.post(CHAT, json=body(stream=True))
    assert (whole.status_code, streamed.status_code) == (502, 200)
    event = streamed.text.split("\n\n")[-2]
    assert event.startswith("event: error\ndata: ")
    error = orjson.loads(event.split("data: ")[1])["error"]
    assert error == {"message": "It died.", "type": "upstream_error", "request_id": streamed.headers["x-request-id"]}
    assert house.count("error") == 2
    assert house.lifecycle.gate.in_flight == 0


async def test_a_bug_is_a_500_in_the_envelope() -> None:
    broken = False

    def script(prompt: Prompt) -> list[str]:
        if broken:
            raise KeyError("secret")
        return HELLO

    house = House(script)
    async with house.open() as client:
        broken = True
        response = await client.post(CHAT, json=body())
    assert response.status_code == 500
    error = response.json()["error"]
    assert error["type"] == "server_error" and error["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text


async def test_a_full_house_answers_503_and_says_when_to_come_back() -> None:
    house = House(lambda _: HELLO, in_flight=1)
    async with house.open() as client:
        house.engine.gate.clear()
        first = asyncio.create_task(client.post(CHAT, json=body()))
        await until(lambda: house.engine.running == 1)
        second = await client.post(CHAT, json=body())
        house.engine.gate.set()
        assert (await first).status_code == 200
        third = await client.post(CHAT, json=body())
    assert (second.status_code, second.json()["error"]["type"]) == (503, "service_unavailable")
    assert second.headers["retry-after"] == "1"
    assert third.status_code == 200


async def test_silence_is_filled_and_the_error_after_it_is_in_the_stream() -> None:
    fails = False
    house = House(lambda _: [EngineFailed("It died.")] if fails else HELLO, ping_interval=0.01)
    async with house.open() as client:
        fails = True
        house.engine.gate.clear()
        asking = asyncio.create_task(client.post(CHAT, json=body(stream=True)))
        await asyncio.sleep(0.05)
        house.engine.gate.set()
        response = await asking
    assert response.status_code == 200
    assert response.text.startswith(": ping\n\n")
    assert "event: error\n" in response.text


async def test_while_loading_probes_tell_the_truth() -> None:
    house = House(lambda _: HELLO)
    house.may_load.clear()
    async with house.open() as client:
        answers = {path: await client.get(path) for path in ("/livez", "/readyz", "/health", "/v1/models", "/metrics")}
        asked = await client.post(CHAT, json=body())
        house.may_load.set()
    statuses = {path: answer.status_code for path, answer in answers.items()}
    assert statuses == {"/livez": 200, "/readyz": 503, "/health": 503, "/v1/models": 503, "/metrics": 200}
    assert "loading" in answers["/readyz"].json()["error"]["message"]
    assert asked.status_code == 503
    assert house.engine.closed


async def test_a_model_that_cannot_be_loaded_is_reported() -> None:
    def load(*_: object) -> Model:
        raise RuntimeError("no such model")

    house = House(lambda _: HELLO)
    async with house.open(load) as client:
        assert (await client.get("/livez")).status_code == 502
        assert (await client.get("/readyz")).status_code == 502
    assert house.ends == 1
