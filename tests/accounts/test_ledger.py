"""Calls of which half are cut off somewhere: every one is in the ledger, to the token. Two thousand of them are what
`python -m benchmarks.ledger` makes."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.accounts.callers import ask, calling
from tests.accounts.crowd import ENGINE, crowd_books, ledger_sums
from tests.accounts.fleet import Fleet
from tests.conftest import ROOT

REQUESTS = 300
FORMS = ("table", "csv", "json")


@pytest.mark.parametrize("name", ["a", "b"], ids=["sqlite", "postgresql"])
async def test_every_call_is_in_the_ledger_to_the_token(fleet: Fleet, name: str) -> None:
    account = f"crowd-{name}"
    books = await crowd_books(fleet, name, account, REQUESTS)
    assert books.ledger["requests"] == REQUESTS
    assert {figure: books.ledger[figure] for figure in ENGINE} == books.engine
    assert 0 < books.ledger["cached_tokens"] < books.ledger["prompt_tokens"]
    assert 0 < books.ledger["delivered_tokens"] < books.ledger["generated_tokens"]
    assert books.errors == 0 and books.disconnects > REQUESTS / 10
    assert books.leases == 0
    assert_reported(fleet, name, account, books.ledger)


async def test_a_database_that_is_away_costs_no_request_and_no_row(fleet: Fleet) -> None:
    async with calling(fleet.b, fleet.account("outlasting", "line")) as client:
        fleet.postgres.stop()
        try:
            for _ in range(3):
                await ask(client)
            await asyncio.to_thread(fleet.b.wait_for, "electron_ledger_up", 0)
            await ask(client)
        finally:
            fleet.postgres.start()
    for series, value in (("ledger_up", 1), ("ledger_pending", 0), ("ledger_lag_seconds", 0)):
        await asyncio.to_thread(fleet.b.wait_for, f"electron_{series}", value)
    assert (await ledger_sums(fleet, "b", "outlasting"))["requests"] == 4


def assert_reported(fleet: Fleet, name: str, account: str, sums: dict[str, int]) -> None:
    """`electron-server usage` says the same in each of its forms."""
    expected = {figure: sums[figure] for figure in ("requests", *ENGINE, "delivered_tokens")}
    price = Decimal(sums["price_nanos"]) / 10**9
    table, lines, found = reported(fleet, name, account)

    (row,) = csv.DictReader(io.StringIO(lines))
    assert {figure: int(row[figure]) for figure in expected} == expected
    assert Decimal(row["price"]) == price
    (group,) = json.loads(found)
    assert {figure: group[figure] for figure in expected} == expected
    assert Decimal(group["price"]) == price
    head, line, total = table.splitlines()
    assert head.split() == ["key", "requests", *ENGINE, "delivered_tokens", "price"]
    assert line.split()[1:] == total.split()[1:]
    assert [Decimal(figure) for figure in total.split()[1:]] == [*expected.values(), price]


def reported(fleet: Fleet, name: str, account: str) -> list[str]:
    """As a table, CSV and JSON."""
    settings = [f"telemetry.ledger.directory={fleet.folder / name}"]
    settings += [f"telemetry.ledger.url={fleet.ledgers[name]}"] if fleet.ledgers[name] else []
    command = [sys.executable, "-m", "server", "usage", "--account", account, "--since", "1d", "--by", "key"]
    command += [part for setting in settings for part in ("--set", setting)]
    running = [
        subprocess.Popen([*command, "--format", form], cwd=ROOT, stdout=subprocess.PIPE, text=True) for form in FORMS
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    return said
