"""One request's admission, held from its first to its last moment."""

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from server.admission.callers import Caller
from server.admission.capacity import Capacity, Slot
from server.admission.limiter import Limiter
from server.admission.terms import Bounds, Settlement, Settling, Standing, rate_limit_headers
from server.errors import Forbidden, RateLimited, ServerError, Unavailable
from server.settings import ServiceClass

Outcome = Literal["admitted", "refunded", "forbidden", "requests", "tokens", "concurrency", "overload", "store"]
Observe = Callable[[str, Outcome], None]  # plan, what was decided


@dataclass(frozen=True, slots=True)
class Desk:
    """Where tickets are stamped."""

    capacity: Capacity
    limiter: Limiter
    observe: Observe


class Ticket:
    """An asynchronous context manager, good for one request. It holds nothing before it is entered.

    headers: rate-limit headers, once the limits were asked.
    service_class, priority: of the engine's queue; a smaller priority goes first.
    cache_salt: keeps the account's prefix cache apart; None: there is but one account.
    """

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        *,
        model: str,
        service_class: ServiceClass,
        tokens: int,
        cache_salt: str | None,
    ) -> None:
        self.caller = caller
        self.account = caller.account
        self.key_id = caller.key_id
        self.plan = caller.plan
        self.service_class = service_class
        self.priority = desk.capacity.levels[service_class].priority
        self.cache_salt = cache_salt
        self.headers: Mapping[str, str] = {}
        self._desk = desk
        self._model = model
        self._reserved = tokens
        self._bounds = Bounds.of(caller.terms)
        self._lease = uuid.uuid4().hex
        self._slot: Slot | None = None
        self._used: int | None = None
        self._answered = False
        self._counted = False  # in the account's books, not yet settled
        self._released = False

    async def __aenter__(self) -> Self:
        """Admit.

        Raises:
            Forbidden: the plan lacks the model, or the key the right to use it.
            RateLimited: the plan is used up for the moment.
            Unavailable: the node is full, or shared limits cannot be checked and are to hold nevertheless.
        """
        self._check_rights()
        self._slot = self._take_slot()
        try:
            standing = await self._ask_limiter()
            self.headers = rate_limit_headers(standing, self._bounds)
            if standing.obstacle:
                raise self._refusal(standing)
        except BaseException:
            self._slot.free()
            raise
        self._counted = True
        if self._released:  # the caller went before this
            self._leave("undo")
            raise asyncio.CancelledError
        self._decided("admitted")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(self._settling(error))

    def first_token(self) -> None:
        """The engine has answered: the prompt no longer waits, and from here on the request counts."""
        self._answered = True
        if self._slot:
            self._slot.first_token()

    def charge(self, tokens: int) -> None:
        """What the request really used, prompt and output together, in place of what was reserved."""
        self._used = tokens
        if self._released and self._bounds.tokens is not None:
            self._desk.limiter.settle(self._settlement("keep"))

    def release(self) -> None:
        """The caller hung up: free all that the request holds, now. Idempotent."""
        self._leave("keep" if self._answered else "refund")

    def _check_rights(self) -> None:
        models = self.caller.terms.models
        try:
            self.caller.require("inference")
            if models is not None and self._model not in models:
                raise Forbidden(f"The plan `{self.plan}` has no access to the model `{self._model}`.")
        except Forbidden:
            self._decided("forbidden")
            raise

    def _take_slot(self) -> Slot:
        try:
            return self._desk.capacity.take(self.service_class, self._reserved)
        except Unavailable:
            self._decided("overload")
            raise

    async def _ask_limiter(self) -> Standing:
        try:
            return await self._desk.limiter.acquire(self.account, self._lease, self._bounds, self._reserved)
        except Unavailable:
            self._decided("store")
            raise

    def _refusal(self, standing: Standing) -> RateLimited:
        assert standing.obstacle is not None
        self._decided(standing.obstacle)
        bounds = self._bounds
        messages = {
            "requests": f"Rate limit reached: {bounds.requests} requests per minute on the plan `{self.plan}`.",
            "tokens": f"Rate limit reached: {bounds.tokens} tokens per minute on the plan `{self.plan}`.",
            "concurrency": "Concurrency limit reached",
        }
        return RateLimited(messages[standing.obstacle], max(1, math.ceil(standing.retry_after)))

    def _settling(self, error: BaseException | None) -> Settling:
        """Who cancels before the first token gets the place back; so does whom the server failed."""
        if error is None or self._answered:
            return "keep"
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            return "refund"
        return "keep" if isinstance(error, ServerError) and error.status < 500 else "undo"

    def _leave(self, settling: Settling) -> None:
        self._released = True
        if self._slot:
            self._slot.free()
        if self._counted:
            self._settle(settling)

    def _settle(self, settling: Settling) -> None:
        self._counted = False
        if self._desk.limiter.settle(self._settlement(settling)) and settling == "refund":
            self._decided("refunded")

    def _settlement(self, settling: Settling) -> Settlement:
        return Settlement(self.account, self._lease, settling, self._bounds, self._used)

    def _decided(self, outcome: Outcome) -> None:
        self._desk.observe(self.plan, outcome)
