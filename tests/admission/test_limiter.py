"""The moment's patience for a slot that is about to come free."""

import asyncio
from typing import Any

import pytest

from server.admission.limiter import Limiter
from server.admission.store import MemoryStore
from server.admission.terms import Bounds, Settlement, Standing
from server.settings import AdmissionSettings

SINGLE = Bounds(requests=10, concurrency=1, refunds=10)
LONG = 600.0  # seconds that no test waits for


def end(lease: str, settling: Any = "refund", account: str = "acme", bounds: Bounds = SINGLE) -> Settlement:
    return Settlement(account, lease, settling, bounds)


def asking(limiter: Limiter, lease: str, account: str = "acme", bounds: Bounds = SINGLE) -> "asyncio.Task[Standing]":
    return asyncio.create_task(limiter.acquire(account, lease, bounds, 0))


async def settled(*tasks: "asyncio.Task[Standing]") -> list[bool]:
    """After everything that can happen without time passing has happened: which are done."""
    for _ in range(20):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


@pytest.fixture
def limiter(clock: Any) -> Limiter:
    return Limiter(MemoryStore(clock), LONG)


def test_the_shipped_patience() -> None:
    assert AdmissionSettings().grace == 0.15


async def test_it_waits_for_a_slot_and_gets_it(limiter: Limiter) -> None:
    await limiter.acquire("acme", "first", SINGLE, 0)
    second = asking(limiter, "second")
    assert await settled(second) == [False]
    limiter.settle(end("first"))
    assert (await second).obstacle is None


async def test_an_end_elsewhere_does_not_help(limiter: Limiter) -> None:
    await limiter.acquire("acme", "first", SINGLE, 0)
    await limiter.acquire("other", "o", SINGLE, 0)
    second = asking(limiter, "second")
    limiter.settle(end("o", account="other"))
    assert await settled(second) == [False]
    limiter.settle(end("first"))
    assert (await second).obstacle is None


async def test_one_slot_lets_in_one(limiter: Limiter) -> None:
    two = Bounds(requests=10, concurrency=2)
    for lease in ("a", "b"):
        await limiter.acquire("acme", lease, two, 0)
    waiting = [asking(limiter, lease, bounds=two) for lease in ("c", "d")]
    assert await settled(*waiting) == [False, False]
    limiter.settle(end("a", bounds=two))
    assert sum(await settled(*waiting)) == 1
    limiter.settle(end("b", bounds=two))
    assert [task.result().obstacle for task in waiting if await settled(*waiting)] == [None, None]


async def test_no_more_may_wait_than_may_run(limiter: Limiter) -> None:
    await limiter.acquire("acme", "first", SINGLE, 0)
    second = asking(limiter, "second")
    await settled(second)
    assert (await limiter.acquire("acme", "third", SINGLE, 0)).obstacle == "concurrency"
    limiter.settle(end("first"))
    assert (await second).obstacle is None


async def test_when_patience_ends_it_is_refused(clock: Any) -> None:
    limiter = Limiter(MemoryStore(clock), 0.01)
    await limiter.acquire("acme", "first", SINGLE, 0)
    assert (await limiter.acquire("acme", "second", SINGLE, 0)).obstacle == "concurrency"
    limiter.settle(end("first"))
    assert (await limiter.acquire("acme", "third", SINGLE, 0)).obstacle is None


async def test_a_full_window_is_waited_for_only_while_something_runs_that_may_be_given_back(limiter: Limiter) -> None:
    one = Bounds(requests=1, concurrency=2, refunds=1)
    await limiter.acquire("acme", "first", one, 0)
    second = asking(limiter, "second", bounds=one)
    assert await settled(second) == [False]
    limiter.settle(end("first", bounds=one))
    assert (await second).obstacle is None
    limiter.settle(end("second", "keep", bounds=one))
    assert (await limiter.acquire("acme", "third", one, 0)).obstacle == "requests"


async def test_tokens_are_not_waited_for(limiter: Limiter) -> None:
    few = Bounds(tokens=10)
    await limiter.acquire("acme", "first", few, 10)
    assert (await limiter.acquire("acme", "second", few, 1)).obstacle == "tokens"


async def test_who_gives_up_waiting_takes_nothing(limiter: Limiter) -> None:
    await limiter.acquire("acme", "first", SINGLE, 0)
    second = asking(limiter, "second")
    await settled(second)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    limiter.settle(end("first"))
    standing = await limiter.acquire("acme", "third", SINGLE, 0)
    assert (standing.obstacle, standing.requests, standing.running) == (None, 1, 1)


async def test_a_slot_that_another_replica_frees_is_noticed(replicas: Any) -> None:
    here, there = (Limiter(replicas.store(), LONG) for _ in range(2))
    await there.acquire("acme", "first", SINGLE, 0)
    second = asking(here, "second")
    for _ in range(3):
        await asyncio.sleep(0.03)  # a few looks at Redis, all in vain
        assert not second.done()
    there.settle(end("first"))
    assert (await asyncio.wait_for(second, 60)).obstacle is None
