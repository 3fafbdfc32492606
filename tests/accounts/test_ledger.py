"""Two thousand calls, half of them cut off somewhere: every one is in the ledger, to the token."""

import asyncio
import csv
import io
import json
import random
import subprocess
import sys
from decimal import Decimal

import httpx
import pytest
import redis
from sqlalchemy import func, select

from server.settings import LedgerSettings
from server.telemetry.database import Database, ledger_url, usage_table
from tests.accounts.conftest import Fleet, Replica, until
from tests.conftest import ROOT

REQUESTS = 2000
AT_ONCE = 24
ENGINE = {
    "prompt_tokens": "vllm:prompt_tokens_total",
    "cached_tokens": "vllm:prompt_tokens_cached_total",
    "generated_tokens": "vllm:generation_tokens_total",
}
SUMS = (*ENGINE, "delivered_tokens", "price_nanos")


class Crowd:
    """Callers of one account, half of whom hang up at a random moment, before the first token or after it."""

    def __init__(self, replica: Replica, key: str) -> None:
        self._replica = replica
        self._headers = {"Authorization": f"Bearer {key}"}
        self._chance = random.Random(11)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def call(self, count: int) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self._replica.url, timeout=600, limits=limits) as client:
            await asyncio.gather(*(self._one(client, number) for number in range(count)))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        leaves = number % 2 == 1
        chance = self._chance
        body = {
            "model": "electron",
            "messages": [{"role": "user", "content": f"{chance.random()}: " + "Tell me more. " * chance.randrange(8)}],
            "max_tokens": 100 if leaves else chance.randint(1, 4),
            "ignore_eos": leaves,
            "stream": chance.random() < 0.7,
        }
        patience = chance.uniform(0.0, 0.5) if leaves else None
        async with self._room:
            try:
                async with asyncio.timeout(patience):
                    async with client.stream("POST", "/chat/completions", json=body, headers=self._headers) as answer:
                        assert answer.status_code == 200, await answer.aread()
                        async for _ in answer.aiter_bytes():
                            pass
            except TimeoutError:
                pass


@pytest.mark.parametrize("name", ["a", "b"], ids=["sqlite", "postgresql"])
async def test_every_call_is_in_the_ledger_to_the_token(fleet: Fleet, name: str) -> None:
    replica: Replica = getattr(fleet, name)
    account = f"crowd-{name}"
    crowd = Crowd(replica, fleet.account(account, "bulk"))
    before = engine_sums(replica)
    while missing := REQUESTS - admitted(replica, account):  # who hangs up before the server has read him was not there
        await crowd.call(missing)
        await at_rest(replica)
    sums = await ledger_sums(fleet, name, account)
    assert sums["requests"] == REQUESTS
    after = engine_sums(replica)
    assert {figure: sums[figure] for figure in ENGINE} == {figure: after[figure] - before[figure] for figure in ENGINE}
    assert 0 < sums["delivered_tokens"] < sums["generated_tokens"]
    causes = {cause: outcomes(replica, account, cause) for cause in ("disconnect", "error")}
    assert causes["error"] == 0 and causes["disconnect"] > REQUESTS / 10
    assert not leases(fleet, account)
    assert_reported(fleet, name, account, sums)


def admitted(replica: Replica, account: str) -> int:
    return int(replica.series("electron_requests_total", account=account))


def outcomes(replica: Replica, account: str, outcome: str) -> float:
    return replica.series("electron_requests_total", account=account, outcome=outcome)


def engine_sums(replica: Replica) -> dict[str, int]:
    return {figure: int(replica.series(series)) for figure, series in ENGINE.items()}


async def at_rest(replica: Replica) -> None:
    """Every slot is free and every record written."""
    for series in (
        "electron_requests_in_flight",
        "electron_queued_prompt_tokens",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "electron_ledger_pending",
    ):
        await asyncio.to_thread(replica.wait_for, series, 0)


def leases(fleet: Fleet, account: str) -> int:
    """Of requests that Redis still takes to be running."""
    with redis.Redis(port=fleet.redis.port) as client:
        name = f"electron:{{{account}}}:leases"
        until(lambda: client.zcard(name) == 0)
        return int(client.zcard(name))


def ledger_settings(fleet: Fleet, name: str) -> LedgerSettings:
    return LedgerSettings(directory=fleet.folder / name, url=fleet.ledgers[name] or None)


async def ledger_sums(fleet: Fleet, name: str, account: str) -> dict[str, int]:
    database = Database(ledger_url(ledger_settings(fleet, name)), 5.0)
    columns = usage_table.c
    query = select(func.count(), *(func.sum(columns[figure]) for figure in SUMS)).where(columns.account == account)
    try:
        (row,) = await database.read(query)
    finally:
        await database.close()
    return dict(zip(("requests", *SUMS), map(int, row), strict=True))


def assert_reported(fleet: Fleet, name: str, account: str, sums: dict[str, int]) -> None:
    """`electron-server usage` says the same in each of its forms."""
    expected = {figure: sums[figure] for figure in ("requests", *ENGINE, "delivered_tokens")}
    price = Decimal(sums["price_nanos"]) / 10**9

    (row,) = csv.DictReader(io.StringIO(reported(fleet, name, account, "csv")))
    assert {figure: int(row[figure]) for figure in expected} == expected
    assert Decimal(row["price"]) == price
    (found,) = json.loads(reported(fleet, name, account, "json"))
    assert {figure: found[figure] for figure in expected} == expected
    assert Decimal(found["price"]) == price
    head, line, total = reported(fleet, name, account, "table").splitlines()
    assert head.split() == ["key", "requests", *ENGINE, "delivered_tokens", "price"]
    assert line.split()[1:] == total.split()[1:]
    assert [Decimal(figure) for figure in total.split()[1:]] == [*expected.values(), price]


def reported(fleet: Fleet, name: str, account: str, form: str) -> str:
    options = [f"telemetry.ledger.directory={fleet.folder / name}"]
    options += [f"telemetry.ledger.url={fleet.ledgers[name]}"] if fleet.ledgers[name] else []
    command = [sys.executable, "-m", "server", "usage", "--account", account, "--since", "1d", "--by", "key"]
    command += ["--format", form, *(part for option in options for part in ("--set", option))]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
