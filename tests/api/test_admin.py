"""The operator's own routes: for a key with the scope `admin` and for no other."""

from pathlib import Path

import pytest

from server.settings import LedgerSettings, TelemetrySettings
from tests.api.test_rate_limits import PLANS, LimitedHouse
from tests.test_app import CHAT, body, until

ROUTES = ["/admin/accounts", "/admin/usage"]


@pytest.fixture
def house(tmp_path: Path) -> LimitedHouse:
    house = LimitedHouse(tmp_path)
    house.office.create("boss", "poor", scopes=("admin",))
    ledger = TelemetrySettings(ledger=LedgerSettings(directory=tmp_path, max_loss=20))  # a busy machine is no loss
    house.settings = house.settings.model_copy(update={"telemetry": ledger})
    return house


@pytest.mark.parametrize("route", ROUTES)
async def test_nobody_else_may(house: LimitedHouse, route: str) -> None:
    async with house.open() as client:
        stranger, caller = await client.get(route), await client.get(route, headers=house.known())
        operator = await client.get(route, headers=house.known("boss"))
    assert [answer.status_code for answer in (stranger, caller, operator)] == [401, 403, 200]
    assert caller.json()["error"]["type"] == "permission_error"


async def test_how_accounts_stand(house: LimitedHouse) -> None:
    async with house.open() as client:
        for _ in range(2):
            await client.post(CHAT, json=body(), headers=house.known())
        found = (await client.get("/admin/accounts", headers=house.known("boss"))).json()["data"]
    small = {"account": "small", "plan": "small", "running": 0, "requests": 2}
    assert {**small, "requests_per_minute": 5, "concurrency": 2} in found
    assert {account["account"] for account in found} == {*PLANS, "boss"}
    assert {account["running"] for account in found if account["plan"] == "poor"} == {None}


async def test_what_was_used(house: LimitedHouse) -> None:
    async with house.open() as client:
        for _ in range(3):
            await client.post(CHAT, json=body(), headers=house.known())
        ledger = house.lifecycle.desk.ledger
        assert ledger is not None
        await until(lambda: ledger.state().up)
        await ledger.flush()
        asked = {"account": "small", "since": "1d", "by": "model"}
        found = (await client.get("/admin/usage", params=asked, headers=house.known("boss"))).json()["data"]
        nobody = await client.get("/admin/usage", params={"account": "x"}, headers=house.known("boss"))
    assert found == [
        {
            "group": "electron",
            "requests": 3,
            "prompt_tokens": 3,
            "cached_tokens": 0,
            "generated_tokens": 12,
            "delivered_tokens": 12,
            "price": "0.000020400",
        }
    ]
    assert nobody.json()["data"] == []


@pytest.mark.parametrize("asked", [{"by": "mood"}, {"since": "yesterday"}])
async def test_what_cannot_be_asked(house: LimitedHouse, asked: dict[str, str]) -> None:
    async with house.open() as client:
        answer = await client.get("/admin/usage", params=asked, headers=house.known("boss"))
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == list(asked)


async def test_without_a_ledger(tmp_path: Path) -> None:
    house = LimitedHouse(tmp_path)
    house.office.create("boss", "poor", scopes=("admin",))
    async with house.open() as client:
        assert (await client.get("/admin/usage", headers=house.known("boss"))).status_code == 404
