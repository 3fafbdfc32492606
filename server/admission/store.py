"""Where the books are kept: the contract, and this process's own."""

from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from server.admission.book import Book, consider, enter, settle, standing
from server.admission.terms import Bounds, Settlement, Standing

Clock = Callable[[], float]  # seconds, monotonic


class Store(Protocol):
    """Windows and leases by account. Used from one event loop."""

    @property
    def up(self) -> bool:
        """Whether the limits are those of all replicas that should share them."""

    @property
    def recheck(self) -> float | None:
        """Seconds after which a full account is worth another look; None: only when a request of this process ends."""

    async def acquire(self, account: str, lease: str, bounds: Bounds, tokens: int) -> Standing:
        """Admit or refuse; what is admitted must be settled. Cancelled, it has admitted nothing.

        Raises:
            Unavailable: the limits cannot be checked, and that is to mean no.
        """

    async def standing(self, account: str) -> Standing:
        """As it is now; nothing is admitted. Never fails: while shared limits are away, as this process knows it."""

    def settle(self, end: Settlement) -> bool:
        """End a request at once, as far as this process goes. True: its place in the window was given back."""

    def start(self) -> None:
        """Begin what runs in the background, if anything does."""

    async def close(self) -> None:
        """Finish what runs in the background."""


class MemoryStore:
    """For a single replica, and beside a shared store as this replica's own account of things."""

    up = True
    recheck = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._books: defaultdict[str, Book] = defaultdict(Book)

    async def acquire(self, account: str, lease: str, bounds: Bounds, tokens: int) -> Standing:
        return consider(self._books[account], lease, bounds, tokens, self._clock())

    async def standing(self, account: str) -> Standing:
        return standing(self._books[account], self._clock())

    def enter(self, account: str, lease: str, bounds: Bounds, tokens: int) -> None:
        """Write down what another store admitted."""
        enter(self._books[account], lease, bounds, tokens, self._clock())

    def settle(self, end: Settlement) -> bool:
        return settle(self._books[end.account], end, self._clock())

    def start(self) -> None:
        pass

    async def close(self) -> None:
        pass
