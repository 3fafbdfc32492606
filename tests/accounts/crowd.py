"""Many calls, half of them cut off somewhere, and what the ledger, the engine and the metrics say of them."""

import asyncio
import random
from dataclasses import dataclass

import httpx
import redis
from sqlalchemy import func, select

from server.settings import LedgerSettings
from server.telemetry.database import Database, ledger_url, usage_table
from tests.accounts.fleet import HOUSE_PROMPT, Fleet, Replica, until

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
            "messages": [
                {"role": "system", "content": HOUSE_PROMPT},
                {"role": "user", "content": f"{chance.random()}: " + "Tell me more. " * chance.randrange(8)},
            ],
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


@dataclass(frozen=True, slots=True)
class Books:
    """ledger: rows and sums of one account. engine: its own sums of the same time. leases: that Redis still holds."""

    ledger: dict[str, int]
    engine: dict[str, int]
    disconnects: int
    errors: int
    leases: int


async def crowd_books(fleet: Fleet, name: str, account: str, requests: int) -> Books:
    """After so many admitted requests of a new account, when all is at rest. Nobody else may call meanwhile."""
    replica: Replica = getattr(fleet, name)
    crowd = Crowd(replica, fleet.account(account, "bulk"))
    before = _engine_sums(replica)
    while missing := requests - _requests(replica, account):  # who leaves before the server has read him was not there
        await crowd.call(missing)
        await _at_rest(replica)
    after = _engine_sums(replica)
    return Books(
        await ledger_sums(fleet, name, account),
        {figure: after[figure] - before[figure] for figure in ENGINE},
        _requests(replica, account, outcome="disconnect"),
        _requests(replica, account, outcome="error"),
        _leases(fleet, account),
    )


def ledger_settings(fleet: Fleet, name: str) -> LedgerSettings:
    return LedgerSettings(directory=fleet.folder / name, url=fleet.ledgers[name] or None)


def _requests(replica: Replica, account: str, **labels: str) -> int:
    return int(replica.series("electron_requests_total", account=account, **labels))


def _engine_sums(replica: Replica) -> dict[str, int]:
    return {figure: int(replica.series(series)) for figure, series in ENGINE.items()}


async def _at_rest(replica: Replica) -> None:
    """Every slot is free and every record written."""
    for series in (
        "electron_requests_in_flight",
        "electron_queued_prompt_tokens",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "electron_ledger_pending",
    ):
        await asyncio.to_thread(replica.wait_for, series, 0)


def _leases(fleet: Fleet, account: str) -> int:
    """Of requests that Redis still takes to be running."""
    with redis.Redis(port=fleet.redis.port) as client:
        name = f"electron:{{{account}}}:leases"
        until(lambda: client.zcard(name) == 0)
        return int(client.zcard(name))


async def ledger_sums(fleet: Fleet, name: str, account: str) -> dict[str, int]:
    database = Database(ledger_url(ledger_settings(fleet, name)), 5.0)
    columns = usage_table.c
    query = select(func.count(), *(func.sum(columns[figure]) for figure in SUMS)).where(columns.account == account)
    try:
        (row,) = await database.read(query)
    finally:
        await database.close()
    return dict(zip(("requests", *SUMS), map(int, row), strict=True))
