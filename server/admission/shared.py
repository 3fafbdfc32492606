"""Books shared by several replicas, in Redis.

Beside them this replica keeps its own, of its own requests: they answer while Redis is away, and tell which leases to
renew. A lease that nobody renews expires, so that a killed replica's requests do not count for ever. Ends of requests
are sent in the background, in order, but always before the next request of the same account is considered.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.admission.breaker import Breaker
from server.admission.scripts import ACQUIRE, RENEW, SETTLE, STANDING
from server.admission.store import Clock, MemoryStore
from server.admission.terms import Bounds, Obstacle, Settlement, Standing
from server.errors import Unavailable
from server.settings import RedisSettings, SettingsError

logger = logging.getLogger("server.admission")

FAILURES = (RedisError, OSError, TimeoutError)
PATIENCE = 1.0  # seconds, for what no request waits for
RECHECK = 0.025  # seconds; another replica's request may have ended


class SharedStore:
    """local: this replica's own books. clock: in place of Redis's own, for tests."""

    recheck = RECHECK

    def __init__(self, settings: RedisSettings, local: MemoryStore, clock: Clock | None = None) -> None:
        self._settings = settings
        self._local = local
        self._clock = clock
        self._breaker = Breaker(settings.failures)
        self._redis = _connect(settings)
        self._acquire = self._redis.register_script(ACQUIRE)
        self._standing = self._redis.register_script(STANDING)
        self._settle = self._redis.register_script(SETTLE)
        self._renew = self._redis.register_script(RENEW)
        self._held: defaultdict[str, set[str]] = defaultdict(set)  # account -> leases of this replica
        self._unsent: defaultdict[str, list[Settlement]] = defaultdict(list)
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._turn = asyncio.Lock()  # a renewal must not overtake the end of a request
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def up(self) -> bool:
        return not self._breaker.open

    async def acquire(self, account: str, lease: str, bounds: Bounds, tokens: int) -> Standing:
        asked = self.up
        standing = await self._ask(account, lease, bounds, tokens) if asked else None
        if standing is None:
            return await self._alone(account, lease, bounds, tokens, asked)
        if standing.obstacle is None:
            self._local.enter(account, lease, bounds, tokens)
            self._held[account].add(lease)
        return standing

    async def standing(self, account: str) -> Standing:
        answer = None
        if self.up:
            keys = [self._key(account, name) for name in ("window", "leases")]
            async with self._watched(self._settings.timeout):
                await self._send_ends_of(account)
                answer = await self._standing(keys, [self._now()])
        return await self._local.standing(account) if answer is None else _standing(answer)

    def settle(self, end: Settlement) -> bool:
        self._held[end.account].discard(end.lease)
        if not self._held[end.account]:
            del self._held[end.account]
        self._send_later(end)
        return self._local.settle(end)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._send_ends()), asyncio.create_task(self._beat())]
        for task in self._tasks:
            task.add_done_callback(_report)

    async def close(self) -> None:
        self._closing.set()
        self._wake.set()
        await asyncio.gather(*self._tasks)
        if self.up:
            await self._flush()
        await self._redis.aclose()

    async def renew(self) -> None:
        """Send what ended, then renew what runs; the first success after failures puts Redis in charge again."""
        async with self._turn, self._watched(PATIENCE):
            if not self.up:  # what is open from before is dead, and each connection would cost an attempt
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            await self._send_unsent()
            async with self._redis.pipeline(transaction=False) as pipe:
                for account, leases in list(self._held.items()):
                    key = self._key(account, "leases")
                    await self._renew([key], [self._now(), self._settings.lease, *leases], pipe)
                pipe.ping()
                await pipe.execute()

    async def _ask(self, account: str, lease: str, bounds: Bounds, tokens: int) -> Standing | None:
        """Redis's answer, or None where there was none. Cancelled, it leaves nothing behind."""
        keys = [self._key(account, name) for name in ("window", "leases", "tokens")]
        limits = [-1 if limit is None else limit for limit in (bounds.requests, bounds.concurrency, bounds.tokens)]
        answer = None
        try:
            async with self._watched(self._settings.timeout):
                await self._send_ends_of(account)
                answer = await self._acquire(keys, [lease, self._now(), *limits, tokens, self._settings.lease])
        except asyncio.CancelledError:
            self._send_later(Settlement(account, lease, "undo", bounds))
            raise
        return None if answer is None else _standing(answer)

    async def _alone(self, account: str, lease: str, bounds: Bounds, tokens: int, asked: bool) -> Standing:
        """Without Redis. Where it was `asked`, it may have admitted the request and only its answer been lost."""
        standing = None
        if self._settings.on_failure == "open":
            standing = await self._local.acquire(account, lease, bounds, tokens)
        if standing is not None and standing.obstacle is None:
            self._held[account].add(lease)
        elif asked:
            self._send_later(Settlement(account, lease, "undo", bounds))
        if standing is None:
            raise Unavailable("The limits of this account cannot be checked at the moment.")
        return standing

    def _send_later(self, end: Settlement) -> None:
        self._unsent[end.account].append(end)
        self._wake.set()

    async def _send_ends(self) -> None:
        while not self._closing.is_set():
            await self._wake.wait()
            self._wake.clear()
            if self.up:
                await self._flush()

    async def _beat(self) -> None:
        """Keep this replica's leases alive, and find out whether Redis is."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while not self._closing.is_set():
            await self.renew()
            if self.up:
                answered = loop.time()
            elif loop.time() - answered > self._settings.lease:
                self._unsent.clear()  # in Redis, if it still runs, all of that has expired
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._settings.pause, self._settings.lease / 3)):
                    await self._closing.wait()

    async def _send_ends_of(self, account: str) -> None:
        if account in self._unsent:
            await self._flush()

    async def _flush(self) -> None:
        async with self._turn, self._watched(PATIENCE):
            await self._send_unsent()

    async def _send_unsent(self) -> None:
        """Not forgotten before Redis has answered; to be told of an end twice does it no harm."""
        sending = {account: list(ends) for account, ends in self._unsent.items()}
        if not sending:
            return
        async with self._redis.pipeline(transaction=False) as pipe:
            for end in (end for ends in sending.values() for end in ends):
                keys = [self._key(end.account, name) for name in ("window", "leases", "tokens", "refunds")]
                tokens = -1 if end.tokens is None else end.tokens
                await self._settle(keys, [end.lease, self._now(), end.settling, end.bounds.refunds, tokens], pipe)
            await pipe.execute()
        for account, ends in sending.items():
            del self._unsent[account][: len(ends)]
            if not self._unsent[account]:
                del self._unsent[account]

    @asynccontextmanager
    async def _watched(self, patience: float) -> AsyncIterator[None]:
        """Bounded in time; failures are counted, not raised."""
        try:
            async with asyncio.timeout(patience):
                yield
        except FAILURES as error:
            if self._breaker.failed():
                logger.error("limits: Redis is away (%s); %s until it answers again", error, self._settings.on_failure)
        else:
            if self._breaker.succeeded():
                logger.warning("limits: Redis is back")

    def _key(self, account: str, name: str) -> str:
        return f"{self._settings.prefix}:{{{account}}}:{name}"

    def _now(self) -> str:
        return "" if self._clock is None else f"{self._clock():.6f}"


def _report(task: "asyncio.Task[None]") -> None:
    """A bug must not end the renewal of leases in silence."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("limits: no longer shared with other replicas", exc_info=error)


def _connect(settings: RedisSettings) -> Redis:
    """
    Raises:
        SettingsError: the URL is none.
    """
    assert settings.url is not None
    try:
        pool = BlockingConnectionPool.from_url(
            settings.url.get_secret_value(),
            max_connections=settings.connections,
            timeout=settings.timeout,
            socket_timeout=None,  # with one, a cancellation can be lost in redis-py's `wait_for`; `_watched` bounds all
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # a second attempt costs the caller more than limits of this process alone
            decode_responses=True,
        )
    except ValueError:  # its words may quote a password
        raise SettingsError("`admission.redis.url`: expected redis://…, rediss://… or unix://…") from None
    return Redis(connection_pool=pool)


def _standing(answer: list[str | int]) -> Standing:
    obstacle, requests, running, wait, reset = answer
    found = cast(Obstacle | None, obstacle or None)
    return Standing(found, int(requests), int(running), float(wait), float(reset))
