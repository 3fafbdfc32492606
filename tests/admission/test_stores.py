"""Windows, leases, tokens and refunds: the same in this process and in Redis, to the second."""

import random
from dataclasses import replace
from typing import Any

import pytest

from server.admission.store import MemoryStore, Store
from server.admission.terms import Bounds, Settlement, Standing
from server.settings import AdmissionSettings

STANDARD = Bounds.of(AdmissionSettings().plans["standard"])
ACCOUNT = "acme"


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: Any) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    made: Store = request.getfixturevalue("replicas").store(started=False)
    return made


class Desk:
    """Asks one store, naming requests by number."""

    def __init__(self, store: Store, bounds: Bounds) -> None:
        self.store = store
        self.bounds = bounds
        self.asked = 0

    async def ask(self, tokens: int = 0, account: str = ACCOUNT) -> Standing:
        self.asked += 1
        return await self.store.acquire(account, f"r{self.asked}", self.bounds, tokens)

    def end(self, number: int, settling: Any = "keep", tokens: int | None = None, account: str = ACCOUNT) -> bool:
        return self.store.settle(Settlement(account, f"r{number}", settling, self.bounds, tokens))

    async def pass_through(self, settling: Any = "keep") -> Standing:
        standing = await self.ask()
        if standing.obstacle is None:
            self.end(self.asked, settling)
        return standing


async def test_exactly_ten_of_eleven_in_a_minute(store: Store, clock: Any) -> None:
    desk = Desk(store, STANDARD)
    answers = [await desk.pass_through() for _ in range(11)]
    assert [answer.obstacle for answer in answers] == [None] * 10 + ["requests"]
    assert [answer.requests for answer in answers] == [*range(1, 11), 10]
    assert answers[-1].retry_after == 60


async def test_the_window_slides(store: Store, clock: Any) -> None:
    """Ten requests a second apart come back a second apart, each when it is sixty seconds old and not before."""
    desk = Desk(store, STANDARD)
    for _ in range(10):
        assert (await desk.pass_through()).obstacle is None
        clock.move(1)
    for _ in range(10):
        refused = await desk.pass_through()
        assert refused.obstacle == "requests"
        clock.move(refused.retry_after - 1)
        assert (await desk.pass_through()).retry_after == 1
        clock.move(1)
        assert [(await desk.pass_through()).obstacle for _ in range(2)] == [None, "requests"]


async def test_in_any_sixty_seconds_at_most_ten_pass(store: Store, clock: Any) -> None:
    desk, passed, chance = Desk(store, STANDARD), [], random.Random(7)
    for _ in range(150):
        clock.move(chance.choice([0, 1, 2, 5, 30]))
        if (await desk.pass_through()).obstacle is None:
            passed.append(clock.now)
    assert all(later - earlier >= 60 for earlier, later in zip(passed, passed[10:], strict=False))
    assert len(passed) > 20


async def test_exactly_three_of_four_at_once(store: Store) -> None:
    desk = Desk(store, STANDARD)
    answers = [await desk.ask() for _ in range(4)]
    assert [answer.obstacle for answer in answers] == [None, None, None, "concurrency"]
    assert [answer.running for answer in answers] == [1, 2, 3, 3]
    desk.end(2)
    assert (await desk.ask()).obstacle is None
    assert (await desk.ask()).obstacle == "concurrency"


async def test_looking_changes_nothing(store: Store, clock: Any) -> None:
    desk = Desk(store, STANDARD)
    assert await store.standing(ACCOUNT) == Standing()
    await desk.ask()
    clock.move(5)
    await desk.pass_through()
    for _ in range(20):
        assert await store.standing(ACCOUNT) == Standing(requests=2, running=1, reset=55)
    clock.move(55)
    assert (await store.standing(ACCOUNT)).requests == 1


async def test_refused_requests_do_not_count(store: Store, clock: Any) -> None:
    desk = Desk(store, STANDARD)
    for _ in range(3):
        await desk.ask()
    for _ in range(50):
        assert (await desk.ask()).obstacle == "concurrency"
    for number in (1, 2, 3):
        desk.end(number)
    answers = [(await desk.pass_through()).obstacle for _ in range(8)]
    assert answers == [None] * 7 + ["requests"]
    clock.move(59)
    assert (await desk.pass_through()).obstacle == "requests"
    clock.move(1)
    assert (await desk.pass_through()).obstacle is None


async def test_accounts_do_not_share(store: Store) -> None:
    desk = Desk(store, STANDARD)
    for _ in range(3):
        await desk.ask()
    assert (await desk.ask(account="other")).running == 1


async def test_a_cancelled_request_gives_its_place_back_up_to_the_cap(store: Store, clock: Any) -> None:
    desk = Desk(store, Bounds(requests=2, concurrency=1, refunds=5))
    for _ in range(5):
        assert (await desk.pass_through("refund")).requests == 1
    for _ in range(2):
        assert (await desk.pass_through("refund")).obstacle is None
    assert (await desk.pass_through()).obstacle == "requests"
    clock.move(60)
    for _ in range(5):
        assert (await desk.pass_through("refund")).requests == 1


async def test_what_never_was_is_undone_without_a_cap(store: Store) -> None:
    desk = Desk(store, Bounds(requests=1, concurrency=1, refunds=0))
    for _ in range(5):
        assert (await desk.pass_through("undo")).obstacle is None
    assert (await desk.pass_through("refund")).obstacle is None
    assert (await desk.pass_through()).obstacle == "requests"


async def test_settling_twice_is_settling_once(store: Store) -> None:
    desk = Desk(store, Bounds(requests=3, concurrency=2, refunds=1))
    await desk.ask()
    await desk.ask()
    for _ in range(3):
        desk.end(1, "refund")
        desk.end(2, "keep")
    standing = await desk.ask()
    assert (standing.requests, standing.running) == (2, 1)


async def test_tokens_a_minute(store: Store, clock: Any) -> None:
    desk = Desk(store, Bounds(tokens=100))
    assert (await desk.ask(60)).obstacle is None
    clock.move(10)
    refused = await desk.ask(60)
    assert (refused.obstacle, refused.retry_after) == ("tokens", 50)
    assert (await desk.ask(40)).obstacle is None
    desk.end(1, tokens=20)
    assert (await desk.ask(40)).obstacle is None
    assert (await desk.ask(1)).obstacle == "tokens"
    clock.move(50)
    assert (await desk.ask(21)).obstacle == "tokens"
    assert (await desk.ask(20)).obstacle is None


async def test_a_request_larger_than_the_tokens_of_a_minute_passes_alone(store: Store, clock: Any) -> None:
    desk = Desk(store, Bounds(tokens=100))
    assert (await desk.ask(1000)).obstacle is None
    assert (await desk.ask(1000)).retry_after == 60
    clock.move(60)
    assert (await desk.ask(1000)).obstacle is None


async def test_a_smaller_plan_takes_effect_on_what_is_already_counted(store: Store, clock: Any) -> None:
    desk = Desk(store, Bounds(requests=10))
    for _ in range(8):
        await desk.ask()
        clock.move(1)
    refused = await Desk(store, Bounds(requests=2)).ask()
    assert (refused.obstacle, refused.requests, refused.reset) == ("requests", 8, 52)
    assert refused.retry_after == 58  # when the seventh of the eight has left


@pytest.mark.parametrize("seed", range(5))
async def test_redis_and_memory_decide_alike(seed: int, replicas: Any, clock: Any) -> None:
    """A thousand random steps, one after the other in both."""
    chance, here, there = random.Random(seed), MemoryStore(clock), replicas.store(started=False, lease=10_000)
    bounds = [Bounds(5, 3, None, 2), Bounds(None, 2, 50, 1), Bounds(4, None, 60, 3)]
    running: dict[str, list[tuple[str, Bounds]]] = {"a": [], "b": [], "c": []}
    for step in range(1000):
        clock.move(chance.choice([0, 0, 0.25, 1, 7]))
        account = chance.choice(list(running))
        plan = bounds["abc".index(account)]
        if chance.random() < 0.6:
            lease, tokens = f"{seed}-{step}", chance.randrange(40)
            standings = [await store.acquire(account, lease, plan, tokens) for store in (here, there)]
            assert standings[0] == standings[1]
            shown = [await store.standing(account) for store in (here, there)]
            assert shown == [replace(standings[0], obstacle=None, retry_after=0.0)] * 2
            if standings[0].obstacle is None:
                running[account].append((lease, plan))
        elif running[account]:
            lease, plan = running[account].pop(chance.randrange(len(running[account])))
            settling = chance.choice(["keep", "refund", "undo"])
            end = Settlement(account, lease, settling, plan, chance.choice([None, 5, 30]))
            here.settle(end)
            there.settle(end)
            await there.renew()  # sends it at this very second
