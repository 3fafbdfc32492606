"""Who gets in: keys, plans, limits and the node's own capacity behind one door."""

import asyncio
import time
from collections.abc import Mapping
from typing import cast, get_args

from server.admission.callers import Caller, identify, local_caller
from server.admission.capacity import Capacity
from server.admission.limiter import Limiter
from server.admission.salts import account_salt, salt_secret
from server.admission.store import Clock, MemoryStore, Store
from server.admission.terms import Bounds, Standing, rate_limit_headers
from server.admission.ticket import Desk, Observe, Ticket
from server.admission.watch import WatchedKeys
from server.errors import Detail, InvalidRequest
from server.processes import Seat
from server.settings import AdmissionSettings, ServiceClass


class Gate:
    """Used from one event loop. `observe` is told every decision, for metrics. seat: absent: of the only process.

    Raises:
        SettingsError: the key file or the settings cannot be used.
    """

    def __init__(
        self,
        settings: AdmissionSettings,
        clock: Clock = time.monotonic,
        observe: Observe = lambda plan, outcome: None,
        store: Store | None = None,
        seat: Seat | None = None,
    ) -> None:
        self.max_in_flight = settings.max_in_flight
        self._settings = settings
        self._keys = WatchedKeys(settings.keys_file, settings.plans) if settings.keys_file else None
        self._local = local_caller(settings)
        self._secret = salt_secret(settings)
        self._store = store or _store(settings, clock)
        self._capacity = Capacity(settings, seat)
        self._desk = Desk(self._capacity, Limiter(self._store, settings.grace), observe)
        self._watching: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Requests of this process at work or queued."""
        return self._capacity.in_flight

    @property
    def queued_tokens(self) -> int:
        """Their prompt tokens that wait for a first token, as far as they were announced."""
        return self._capacity.queued_tokens

    @property
    def store_up(self) -> bool:
        """False: shared limits cannot be reached; `admission.redis.on_failure` is in force."""
        return self._store.up

    @property
    def keys_good(self) -> bool:
        """False: the key file has changed and cannot be used; an older version is in force."""
        return self._keys is None or self._keys.fault is None

    def identify(self, authorization: str | None) -> Caller:
        """By the value of the header `Authorization`.

        Raises:
            Unauthenticated: no key, or none that is valid.
        """
        return self._local if self._keys is None else identify(self._keys.ring, authorization)

    def ticket(
        self, caller: Caller, *, model: str, service_class: str | None = None, prompt_tokens_hint: int = 0
    ) -> Ticket:
        """For one request; nothing is decided before it is entered. No class asked for: the plan's.

        Raises:
            InvalidRequest: there is no such class.
        """
        return Ticket(
            self._desk,
            caller,
            model=model,
            service_class=_granted(service_class, caller.terms.service_class),
            tokens=prompt_tokens_hint,
            cache_salt=None if self._keys is None else account_salt(self._secret, caller.account),
        )

    async def rate_limits(self, caller: Caller) -> Mapping[str, str]:
        """Headers that say how the caller's account stands, for an answer without a ticket. Never fails."""
        bounds = Bounds.of(caller.terms)
        return {} if bounds.unlimited else rate_limit_headers(await self._store.standing(caller.account), bounds)

    async def standings(self) -> list[tuple[Caller, Standing]]:
        """Every account that has a valid key, and how it stands at this moment."""
        callers = [self._local] if self._keys is None else self._keys.ring.accounts()
        return [(caller, await self._store.standing(caller.account)) for caller in callers]

    def start(self) -> None:
        """Begin to watch the key file and to look after shared limits."""
        self._store.start()
        if self._keys is not None:
            self._watching = asyncio.create_task(self._keys.watch(self._settings.keys_poll))

    async def close(self) -> None:
        """Stop that, and let what ended be known to the other replicas."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._store.close()


def _store(settings: AdmissionSettings, clock: Clock) -> Store:
    local = MemoryStore(clock)
    if settings.redis.url is None:
        return local
    from server.admission.shared import SharedStore  # who shares nothing need not have the client

    return SharedStore(settings.redis, local)


def _granted(asked: str | None, best: ServiceClass) -> ServiceClass:
    """The class asked for, but none better than the plan's."""
    known = get_args(ServiceClass)
    if asked is None:
        return best
    if asked not in known:
        message = f"expected one of {', '.join(known)}, got `{asked[:40]}`"
        raise InvalidRequest.of([Detail("invalid_enum_value", message, ("service_class",))])
    return cast(ServiceClass, max(asked, best, key=known.index))
