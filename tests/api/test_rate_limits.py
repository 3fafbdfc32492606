"""Whoever is known hears with every answer how he stands, whatever the answer is; a stranger hears nothing."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.errors import EngineFailed
from server.records import Prompt
from server.settings import AdmissionSettings, HttpSettings, LedgerSettings, Settings, TelemetrySettings
from tests.admission.conftest import Office
from tests.test_app import CHAT, HELLO, House, body, until

PLANS = {"small": {"requests_per_minute": 5, "concurrency": 2}, "poor": {"models": [], "requests_per_minute": 5}}
KINDS = ("requests", "concurrency")
NAMES = {f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in KINDS}


class LimitedHouse(House):
    """The application with a key file. `fault`: what the engine raises instead of answering."""

    def __init__(self, folder: Path, **admission: Any) -> None:
        super().__init__(self.answer)
        self.fault: Exception | None = None
        self.office = Office(folder / "keys.yaml", tuple(PLANS))
        for plan in PLANS:
            self.office.create(plan, plan)
        self.settings = Settings(
            admission=AdmissionSettings.model_validate({"keys_file": self.office.path, "plans": PLANS, **admission}),
            http=HttpSettings(max_body=2000),
            telemetry=TelemetrySettings(ledger=LedgerSettings(enabled=False)),
        )

    def answer(self, _: Prompt) -> list[str]:
        if self.fault is not None:
            raise self.fault
        return HELLO

    def known(self, account: str = "small") -> dict[str, str]:
        return {"Authorization": self.office.bearer(account)}


@pytest.fixture
def house(tmp_path: Path) -> LimitedHouse:
    return LimitedHouse(tmp_path)


def standing(answer: httpx.Response) -> tuple[int, int, int]:
    """Status, and what remains of the requests and of the concurrency."""
    assert set(answer.headers) >= NAMES
    requests, concurrency = (int(answer.headers[f"x-ratelimit-remaining-{kind}"]) for kind in KINDS)
    return answer.status_code, requests, concurrency


async def test_answers(house: LimitedHouse) -> None:
    async with house.open() as client:
        whole = await client.post(CHAT, json=body(), headers=house.known())
        stream = await client.post(CHAT, json=body(stream=True), headers=house.known())
        listed = await client.get("/v1/models", headers=house.known())
    assert [standing(answer) for answer in (whole, stream, listed)] == [(200, 4, 1), (200, 3, 1), (200, 3, 2)]


WRONG: list[tuple[int, dict[str, Any]]] = [
    (400, {"content": b"{"}),
    (400, {"json": body(temperature=-1)}),
    (400, {"json": body(service_class="fast")}),
    (400, {"json": body(model="another")}),
    (413, {"content": b" " * 3000}),
    (415, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
]


@pytest.mark.parametrize(("status", "request_"), WRONG)
async def test_requests_at_fault(house: LimitedHouse, status: int, request_: dict[str, Any]) -> None:
    async with house.open() as client:
        headers = {**request_.get("headers", {}), **house.known()}
        answer = await client.post(CHAT, **{**request_, "headers": headers})
    assert standing(answer) == (status, 5, 2)


async def test_a_model_that_the_plan_lacks(house: LimitedHouse) -> None:
    async with house.open() as client:
        answer = await client.post(CHAT, json=body(), headers=house.known("poor"))
        listed = await client.get("/v1/models", headers=house.known("poor"))
    assert (answer.status_code, answer.headers["x-ratelimit-remaining-requests"]) == (403, "5")
    assert listed.json()["data"] == []


@pytest.mark.parametrize(("fault", "status"), [(EngineFailed("It died."), 502), (KeyError("a bug"), 500)])
async def test_failures_of_the_server(house: LimitedHouse, fault: Exception, status: int) -> None:
    async with house.open() as client:
        house.fault = fault
        assert (await client.post(CHAT, json=body(), headers=house.known())).status_code == status
        answer = await client.post(CHAT, json=body(), headers=house.known())
    assert standing(answer) == (status, 4, 1)  # the first one was given back


@pytest.mark.parametrize("stream", [False, True])
async def test_limits_of_the_account(house: LimitedHouse, stream: bool) -> None:
    async with house.open() as client:
        for _ in range(5):
            await client.post(CHAT, json=body(), headers=house.known())
        answer = await client.post(CHAT, json=body(stream=stream), headers=house.known())
    assert standing(answer) == (429, 0, 2)
    assert answer.headers["x-ratelimit-reset-requests"] == answer.headers["retry-after"] + "s"


async def test_a_full_node(tmp_path: Path) -> None:
    house = LimitedHouse(tmp_path, max_in_flight=1)
    async with house.open() as client:
        house.engine.gate.clear()

        first = asyncio.create_task(client.post(CHAT, json=body(), headers=house.known()))
        await until(lambda: house.engine.running == 1)
        answer = await client.post(CHAT, json=body(), headers=house.known())
        house.engine.gate.set()
        await first
    assert standing(answer) == (503, 4, 1)
    assert answer.headers["retry-after"] == "1"


async def test_a_server_that_is_not_ready(house: LimitedHouse) -> None:
    house.may_load.clear()
    async with house.open() as client:
        known = await client.post(CHAT, json=body(), headers=house.known())
        stranger = await client.post(CHAT, json=body())
        house.may_load.set()
    assert standing(known) == (503, 5, 2)
    assert stranger.status_code == 401


async def test_strangers(house: LimitedHouse) -> None:
    async with house.open() as client:
        answers = [
            await client.post(CHAT, json=body()),
            await client.post(CHAT, json=body(), headers={"Authorization": "Bearer sk_no_key"}),
            await client.get("/livez"),
            await client.get("/nothing"),
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 200, 404]
    assert not [name for answer in answers for name in answer.headers if name.startswith("x-ratelimit")]
