"""Several replicas on one Redis, a killed one, and Redis itself going away and coming back."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from server.admission.breaker import Breaker
from server.admission.gate import Gate
from server.admission.shared import SharedStore
from server.admission.terms import Bounds, Settlement, Standing
from server.errors import Unavailable
from server.settings import AdmissionSettings, SettingsError

ROOT = Path(__file__).parents[2]
STANDARD = Bounds.of(AdmissionSettings().plans["standard"])
PATIENCE = 6000  # looks, a hundredth of a second apart, before a condition that must come is given up


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(PATIENCE):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def end(lease: str, settling: Any = "keep", bounds: Bounds = STANDARD) -> Settlement:
    return Settlement("acme", lease, settling, bounds)


async def ask(store: SharedStore, lease: str, bounds: Bounds = STANDARD) -> Standing:
    return await store.acquire("acme", lease, bounds, 0)


async def test_two_replicas_share_the_sums(replicas: Any, clock: Any) -> None:
    one, two = replicas.store(), replicas.store()
    answers = [await ask(store, f"c{i}") for i, store in enumerate((one, two, one, two))]
    assert [answer.obstacle for answer in answers] == [None, None, None, "concurrency"]
    for i, store in enumerate((one, two, one)):
        store.settle(end(f"c{i}"))
        await store.renew()
    for i in range(7):
        store = (one, two)[i % 2]
        assert (await ask(store, f"w{i}")).obstacle is None
        store.settle(end(f"w{i}"))
        await store.renew()
    for store in (one, two):
        refused = await ask(store, "too many")
        assert (refused.obstacle, refused.requests, refused.retry_after) == ("requests", 10, 60)


async def test_hundreds_at_once_on_two_replicas_get_exactly_the_plan(replicas: Any) -> None:
    stores = [replicas.store(), replicas.store()]
    answers = await asyncio.gather(*(ask(stores[i % 2], f"r{i}") for i in range(300)))
    assert sum(answer.obstacle is None for answer in answers) == 3
    assert all(store.up for store in stores)
    free = Bounds(requests=60)
    answers = await asyncio.gather(*(stores[i % 2].acquire("b", f"r{i}", free, 0) for i in range(300)))
    assert sum(answer.obstacle is None for answer in answers) == 60


async def test_the_next_request_of_an_account_never_overtakes_the_end_of_its_last(replicas: Any) -> None:
    one = Bounds(requests=1, concurrency=1, refunds=10_000)
    store = replicas.store()
    for i in range(200):
        assert (await ask(store, f"r{i}", one)).obstacle is None
        store.settle(end(f"r{i}", "refund", one))


async def test_leases_are_kept_while_a_request_runs_and_lost_when_nobody_renews(replicas: Any, clock: Any) -> None:
    one, two = replicas.store(started=False, lease=9), replicas.store(started=False, lease=9)
    single = Bounds(concurrency=1)
    await ask(one, "long", single)
    for _ in range(5):
        clock.move(8)
        await one.renew()
        assert (await ask(two, "other", single)).obstacle == "concurrency"
    clock.move(9)
    assert (await ask(two, "other", single)).obstacle is None


async def test_an_end_is_not_undone_by_a_renewal_under_way(replicas: Any) -> None:
    store = replicas.store(started=False)
    single = Bounds(concurrency=1)
    for i in range(50):
        assert (await ask(store, f"r{i}", single)).obstacle is None
        renewing = asyncio.create_task(store.renew())
        await asyncio.sleep(0)
        store.settle(end(f"r{i}", bounds=single))
        await renewing
    assert (await ask(store, "last", single)).obstacle is None


HOLDER = """
import asyncio, sys
from server.admission.shared import SharedStore
from server.admission.store import MemoryStore
from server.admission.terms import Bounds
from server.settings import RedisSettings
import time

async def hold():
    settings = RedisSettings(url=sys.argv[1], lease=0.5, timeout=1.0)
    store = SharedStore(settings, MemoryStore(time.monotonic))
    store.start()
    for lease in "abc":
        assert (await store.acquire("acme", lease, Bounds(concurrency=3), 0)).obstacle is None
    print("holding", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


@pytest.fixture
def holder(replicas: Any) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which holds three leases."""
    command = [sys.executable, "-c", HOLDER, replicas.server.url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "holding\n"
        yield process
        process.kill()


async def test_a_killed_replica_returns_its_leases(replicas: Any, holder: "subprocess.Popen[str]") -> None:
    """By Redis's own clock, from a real process that dies without a word."""
    survivor, three = replicas.store(own_clock=False), Bounds(concurrency=3)
    assert (await ask(survivor, "mine", three)).obstacle == "concurrency"
    holder.send_signal(signal.SIGKILL)

    async def let_in() -> bool:
        return (await ask(survivor, "mine", three)).obstacle is None

    await until(let_in)


async def test_redis_stopped_and_started_open(replicas: Any, caplog: pytest.LogCaptureFixture) -> None:
    store = replicas.store(failures=2)
    assert (await ask(store, "before")).running == 1
    replicas.server.stop()
    answers = [await ask(store, f"r{i}") for i in range(4)]
    assert [answer.obstacle for answer in answers] == [None, None, "concurrency", "concurrency"]
    await until(lambda: _is(not store.up))
    store.settle(end("r0"))
    assert (await ask(store, "r5")).obstacle is None, "the slot is free at once, Redis or no Redis"
    assert (await ask(store, "r6")).obstacle == "concurrency"

    replicas.server.start()
    await until(lambda: _is(store.up))
    other = replicas.store()
    assert (await ask(other, "elsewhere")).obstacle == "concurrency", "what ran through the outage counts again"
    for lease in ("before", "r1", "r5"):
        store.settle(end(lease))
    await store.renew()
    assert (await ask(other, "elsewhere")).running == 1
    told = [record.getMessage() for record in caplog.records if record.name == "server.admission"]
    assert sum("is away" in line for line in told) == 1 and sum("is back" in line for line in told) == 1


async def _is(condition: bool) -> bool:
    return condition


async def test_redis_stopped_and_started_closed(replicas: Any) -> None:
    store = replicas.store(on_failure="closed", failures=1)
    assert (await ask(store, "before")).obstacle is None
    replicas.server.stop()
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await ask(store, "during")
        assert raised.value.headers["Retry-After"] == "1"
    store.settle(end("before"))
    replicas.server.start()
    await until(lambda: _is(store.up))
    assert (await ask(store, "after")).running == 1


async def test_a_hanging_redis_costs_each_request_one_timeout_and_then_nothing(
    replicas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = replicas.store(started=False, timeout=0.02, failures=3)
    assert (await ask(store, "before")).obstacle is None
    process = replicas.server.process
    process.send_signal(signal.SIGSTOP)
    try:
        for i in range(3):
            assert store.up
            assert (await ask(store, f"r{i}", Bounds(concurrency=9))).obstacle is None
        assert not store.up
        with monkeypatch.context() as patched:
            patched.setattr(store, "_acquire", None)  # who asked Redis now would raise TypeError
            assert (await ask(store, "r9", Bounds(concurrency=9))).obstacle is None
    finally:
        process.send_signal(signal.SIGCONT)
    for lease in ("before", "r0", "r1", "r2", "r9"):
        store.settle(end(lease))
    await store.renew()
    assert store.up
    single = Bounds(concurrency=1)
    assert (await ask(store, "alone", single)).obstacle is None, "no lease of the lost answers is left"


async def test_a_cancelled_request_is_cancelled_and_leaves_nothing_behind(replicas: Any) -> None:
    """At every stage of the exchange, on a fresh connection and on a used one."""
    store, single = replicas.store(started=False), Bounds(requests=1, concurrency=1)
    for turns in (*range(40), *range(12)):
        lease = f"r{turns}"
        asking = asyncio.create_task(ask(store, lease, single))
        for _ in range(turns):
            await asyncio.sleep(0)
        if asking.cancel():
            with pytest.raises(asyncio.CancelledError):
                await asking
        else:
            store.settle(end(lease, "undo", single))
        await store.renew()
        assert replicas.server.names() == []


async def test_closing_tells_the_others(replicas: Any) -> None:
    one, two = replicas.store(), replicas.store()
    single = Bounds(concurrency=1)
    await ask(one, "r", single)
    one.settle(end("r", bounds=single))
    await one.close()
    assert (await ask(two, "s", single)).obstacle is None


async def test_keys_of_redis_expire(replicas: Any) -> None:
    store = replicas.store()
    await store.acquire("acme", "r", Bounds(5, 5, 100, 5), 7)
    store.settle(Settlement("acme", "r", "refund", Bounds(5, 5, 100, 5)))
    await store.acquire("acme", "s", Bounds(5, 5, 100, 5), 7)
    await store.renew()
    assert replicas.server.names() == [
        f"electron:{{acme}}:{name}" for name in ("leases", "refunds", "tokens", "window")
    ]
    async with Redis(port=replicas.server.port) as client:
        for key in replicas.server.names():
            assert 0 < await client.ttl(key) <= 61


async def test_an_account_without_limits_needs_no_redis(replicas: Any) -> None:
    replicas.server.stop()
    settings = AdmissionSettings(redis=replicas.settings(on_failure="closed"))
    gate = Gate(settings)
    async with gate.ticket(gate.identify(None), model="m"):
        assert gate.in_flight == 1
    assert gate.store_up
    await gate.close()


def test_a_bad_url_is_refused_without_its_password() -> None:
    settings = AdmissionSettings.model_validate({"redis": {"url": "rdis://:hunter2@host"}})
    with pytest.raises(SettingsError, match=r"admission\.redis\.url") as raised:
        Gate(settings)
    assert "hunter2" not in str(raised.value)


def test_the_breaker_opens_once_and_closes_once() -> None:
    breaker = Breaker(2)
    assert [breaker.failed(), breaker.open] == [False, False]
    assert breaker.succeeded() is False
    assert [breaker.failed(), breaker.failed(), breaker.failed(), breaker.open] == [False, True, False, True]
    assert [breaker.succeeded(), breaker.succeeded(), breaker.open] == [True, False, False]


async def test_one_look_is_enough_when_redis_is_back(replicas: Any, redis_server: Any) -> None:
    """However many connections were open when it went: none of them costs an attempt."""
    store = replicas.store(started=False)
    await asyncio.gather(*(ask(store, f"r{i}", Bounds(concurrency=100)) for i in range(20)))
    assert len(store._redis.connection_pool._available_connections) > 5
    redis_server.stop()
    while store.up:
        await store.renew()
    redis_server.start()
    await store.renew()
    assert store.up
