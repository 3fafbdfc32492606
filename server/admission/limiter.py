"""Holds accounts to their plans, with a moment's patience for a place that is about to come free.

A voice client cancels an answer and asks for the next one in the same breath, and the two may arrive in any order. So
a request that finds its account's slots taken, or its window full while something still runs that may be given back,
waits a little instead of failing.
"""

import asyncio
from collections import defaultdict

from server.admission.store import Store
from server.admission.terms import Bounds, Settlement, Standing


class Limiter:
    """grace: seconds to wait for a place."""

    def __init__(self, store: Store, grace: float) -> None:
        self._store = store
        self._grace = grace
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    async def acquire(self, account: str, lease: str, bounds: Bounds, tokens: int) -> Standing:
        """Admit or refuse; what is admitted must be settled. Cancelled, it has admitted nothing.

        Raises:
            Unavailable: the shared limits cannot be checked, and that is to mean no.
        """
        if bounds.unlimited:
            return Standing()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace
        while True:
            standing = await self._store.acquire(account, lease, bounds, tokens)
            left = deadline - loop.time()
            if not _may_pass(standing) or left <= 0 or self._crowded(account, bounds):
                return standing
            await self._an_end(account, left if self._store.recheck is None else min(left, self._store.recheck))

    def settle(self, end: Settlement) -> bool:
        """End a request now, and let who waits for its slot try again. True: its place in the window was given back."""
        if end.bounds.unlimited:
            return False
        refunded = self._store.settle(end)
        for waiting in self._waiting.pop(end.account, ()):
            if not waiting.done():
                waiting.set_result(None)
        return refunded

    def _crowded(self, account: str, bounds: Bounds) -> bool:
        """More may not wait than may run: no more could get in together."""
        most = bounds.requests if bounds.concurrency is None else bounds.concurrency
        return most is not None and len(self._waiting.get(account, ())) >= most

    async def _an_end(self, account: str, patience: float) -> None:
        """Until a request of this account ends here, but not longer than `patience` seconds."""
        ended = asyncio.get_running_loop().create_future()
        self._waiting[account].add(ended)
        try:
            await asyncio.wait((ended,), timeout=patience)
        finally:
            self._stop_waiting(account, ended)

    def _stop_waiting(self, account: str, ended: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(account, set())
        waiting.discard(ended)
        if not waiting:
            self._waiting.pop(account, None)


def _may_pass(standing: Standing) -> bool:
    """Whether the end of a request that runs now could remove the obstacle."""
    return standing.running > 0 and standing.obstacle in ("requests", "concurrency")
