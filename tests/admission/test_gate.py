"""The whole door: tickets, what refuses them, and what voice clients do."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from server.admission.gate import Gate
from server.admission.ticket import Ticket
from server.errors import EngineFailed, Forbidden, InvalidRequest, RateLimited, ServerError, Unavailable
from server.settings import AdmissionSettings

Decisions = list[tuple[str, str]]


class Door:
    """A gate over a key file, and all that it decided."""

    def __init__(self, office: Any, clock: Any, store: Any = None, **options: object) -> None:
        self.office = office
        self.decisions: Decisions = []
        observe = lambda plan, outcome: self.decisions.append((plan, outcome))  # noqa: E731
        self.gate = Gate(office.settings(**options), clock, observe, store)

    def ticket(self, account: str = "acme", **options: Any) -> Ticket:
        caller = self.gate.identify(self.office.bearer(account))
        return self.gate.ticket(caller, **{"model": "electron", **options})

    async def pass_through(self) -> None:
        self.last = self.ticket()
        async with self.last as ticket:
            ticket.first_token()

    async def outcome(self) -> str:
        try:
            await self.pass_through()
        except ServerError as error:
            return error.message
        return "passed"


@pytest.fixture
def door(office: Any, clock: Any) -> Door:
    return Door(office, clock)


@pytest.fixture(params=["memory", "redis"])
async def any_door(request: pytest.FixtureRequest, office: Any, clock: Any, replicas: Any) -> Door:
    return Door(office, clock, None if request.param == "memory" else replicas.store())


async def test_a_full_house_turns_away_and_a_freed_slot_admits() -> None:
    gate = Gate(AdmissionSettings(max_in_flight=2))

    def ticket() -> Ticket:
        return gate.ticket(gate.identify(None), model="m")

    async with ticket():
        async with ticket():
            assert gate.in_flight == 2
            with pytest.raises(Unavailable) as raised:
                await ticket().__aenter__()
            assert raised.value.headers["Retry-After"] == "1"
        async with ticket():
            assert gate.in_flight == 2
    assert gate.in_flight == 0


async def test_a_ticket_that_is_not_entered_holds_nothing(door: Door) -> None:
    for _ in range(20):
        door.ticket(prompt_tokens_hint=50)
    assert (door.gate.in_flight, door.gate.queued_tokens, door.decisions) == (0, 0, [])
    await door.pass_through()


async def test_a_ticket_says_whose_it_is(door: Door) -> None:
    door.office.create("other")
    door.gate._keys.look()  # type: ignore[union-attr]
    async with door.ticket() as ticket:
        assert (ticket.account, ticket.plan, ticket.priority, ticket.service_class) == ("acme", "standard", 0, "live")
        assert ticket.key_id in door.office.keys["acme"]
        assert ticket.caller.terms.prices.output == 1.60
        assert ticket.cache_salt and ticket.cache_salt != door.ticket("other").cache_salt
        assert ticket.cache_salt == door.ticket().cache_salt


async def test_headers_on_admission(any_door: Door) -> None:
    async with any_door.ticket() as first, any_door.ticket() as second:
        assert first.headers == {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-reset-requests": "60s",
            "x-ratelimit-limit-concurrency": "3",
            "x-ratelimit-remaining-concurrency": "2",
            "x-ratelimit-reset-concurrency": "0s",
        }
        assert second.headers["x-ratelimit-remaining-concurrency"] == "1"
        async with any_door.ticket() as third:
            assert third.headers["x-ratelimit-remaining-concurrency"] == "0"
            assert third.headers["x-ratelimit-reset-concurrency"] == "1s"


async def test_exactly_ten_of_eleven_in_a_minute_and_the_window_slides(any_door: Door, clock: Any) -> None:
    outcomes = []
    for _ in range(11):
        outcomes.append(await any_door.outcome())
        clock.move(1)
    assert outcomes == ["passed"] * 10 + ["Rate limit reached: 10 requests per minute on the plan `standard`."]
    with pytest.raises(RateLimited) as raised:
        await any_door.pass_through()
    error = raised.value
    assert (error.status, error.type, error.headers["Retry-After"]) == (429, "rate_limit_error", "49")
    assert any_door.last.headers["x-ratelimit-remaining-requests"] == "0"
    assert any_door.last.headers["x-ratelimit-reset-requests"] == "49s"
    clock.move(49)
    assert [await any_door.outcome() for _ in range(2)] == ["passed", outcomes[-1]]


async def test_exactly_three_of_four_at_once(any_door: Door) -> None:
    async with any_door.ticket(), any_door.ticket(), any_door.ticket():
        with pytest.raises(RateLimited) as raised:
            await any_door.pass_through()
        assert raised.value.message == "Concurrency limit reached"
        assert raised.value.headers["Retry-After"] == "1"
        assert any_door.gate.in_flight == 3
    assert await any_door.outcome() == "passed"
    assert any_door.gate.in_flight == 0


async def test_two_gates_on_one_redis_share_the_sums(office: Any, clock: Any, replicas: Any) -> None:
    doors = [Door(office, clock, replicas.store()) for _ in range(2)]
    async with doors[0].ticket(), doors[1].ticket(), doors[0].ticket():
        for door in doors:
            assert await door.outcome() == "Concurrency limit reached"
    outcomes = []
    for i in range(8):
        outcomes.append(await doors[i % 2].outcome())
        for store in replicas.made:
            await store.renew()
    assert outcomes[:7] == ["passed"] * 7 and outcomes[7].startswith("Rate limit reached")


async def test_a_plan_without_the_model(office: Any, clock: Any) -> None:
    office.create("poor", plan="small")
    door = Door(office, clock, plans={"small": {"models": ["tiny"], "requests_per_minute": 1}})
    for model in ("electron", "electron"):
        with pytest.raises(Forbidden) as raised:
            async with door.ticket("poor", model=model):
                pass
        assert (raised.value.status, raised.value.type) == (403, "permission_error")
    async with door.ticket("poor", model="tiny"):
        assert door.gate.in_flight == 1
    assert door.decisions == [("small", "forbidden")] * 2 + [("small", "admitted")]


async def test_an_operators_key_is_no_callers_key(office: Any, clock: Any) -> None:
    office.create("boss", scopes=("admin",))
    with pytest.raises(Forbidden):
        async with Door(office, clock).ticket("boss"):
            pass


@pytest.mark.parametrize(
    ("plan", "asked", "granted", "priority"),
    [
        ("live", None, "live", 0),
        ("live", "speculative", "speculative", 1),
        ("live", "background", "background", 2),
        ("speculative", "live", "speculative", 1),
        ("background", None, "background", 2),
        ("background", "live", "background", 2),
    ],
)
def test_classes(office: Any, clock: Any, plan: str, asked: str | None, granted: str, priority: int) -> None:
    office.create("poor", plan="small")
    ticket = Door(office, clock, plans={"small": {"service_class": plan}}).ticket("poor", service_class=asked)
    assert (ticket.service_class, ticket.priority) == (granted, priority)


def test_an_unknown_class_is_refused(door: Door) -> None:
    with pytest.raises(InvalidRequest, match="live, speculative, background, got `fast`"):
        door.ticket(service_class="fast")


async def test_what_the_node_refuses_does_not_count(office: Any, clock: Any) -> None:
    door = Door(office, clock, max_in_flight=1)
    async with door.ticket():
        for _ in range(20):
            with pytest.raises(Unavailable):
                await door.pass_through()
    for _ in range(9):
        await door.pass_through()
    assert (await door.outcome()).startswith("Rate limit reached")


async def test_what_the_plan_refuses_holds_no_place_in_the_house(door: Door) -> None:
    async with door.ticket(), door.ticket(), door.ticket():
        for _ in range(5):
            assert await door.outcome() == "Concurrency limit reached"
        assert door.gate.in_flight == 3


async def test_queued_tokens_wait_for_their_first_token(door: Door) -> None:
    async with door.ticket(prompt_tokens_hint=100) as one, door.ticket(prompt_tokens_hint=10):
        assert door.gate.queued_tokens == 110
        one.first_token()
        assert door.gate.queued_tokens == 10
    assert door.gate.queued_tokens == 0


async def test_release_frees_everything_in_the_same_turn_of_the_loop(any_door: Door) -> None:
    tickets = [any_door.ticket(prompt_tokens_hint=7) for _ in range(3)]
    for ticket in tickets:
        await ticket.__aenter__()
    assert await any_door.outcome() == "Concurrency limit reached"
    tickets[0].release()
    assert (any_door.gate.in_flight, any_door.gate.queued_tokens) == (2, 14)
    assert await any_door.outcome() == "passed"
    tickets[0].release()
    await tickets[0].__aexit__(None, None, None)
    assert any_door.gate.in_flight == 2
    for ticket in tickets:
        ticket.release()
    assert (any_door.gate.in_flight, any_door.gate.queued_tokens) == (0, 0)


ENDINGS = [
    (GeneratorExit(), "refunded"),
    (asyncio.CancelledError(), "refunded"),
    (EngineFailed("it died"), "undone"),
    (Unavailable("not now"), "undone"),
    (KeyError("a bug"), "undone"),
    (InvalidRequest("too long"), "counted"),
    (None, "counted"),
]


@pytest.mark.parametrize(("error", "expected"), ENDINGS, ids=lambda value: str(type(value).__name__))
@pytest.mark.parametrize("answered", [False, True])
async def test_what_becomes_of_the_place_in_the_window(
    any_door: Door, error: BaseException | None, expected: str, answered: bool
) -> None:
    if answered:
        expected = "counted"
    ticket = any_door.ticket()
    await ticket.__aenter__()
    if answered:
        ticket.first_token()
    await ticket.__aexit__(error and type(error), error, None)
    async with any_door.ticket() as following:
        remaining = following.headers["x-ratelimit-remaining-requests"]
    assert remaining == ("8" if expected == "counted" else "9")
    assert (("standard", "refunded") in any_door.decisions) == (expected == "refunded")


async def test_refunds_have_a_cap(office: Any, clock: Any) -> None:
    office.create("poor", plan="small")
    door = Door(office, clock, plans={"small": {"requests_per_minute": 2, "refunds_per_minute": 5}})
    for _ in range(7):
        ticket = door.ticket("poor")
        await ticket.__aenter__()
        ticket.release()
    with pytest.raises(RateLimited):
        async with door.ticket("poor"):
            pass


async def test_a_caller_who_goes_while_waiting_takes_nothing(office: Any, clock: Any) -> None:
    door = Door(office, clock, grace=5)
    held = [door.ticket() for _ in range(3)]
    for ticket in held:
        await ticket.__aenter__()
    waiting = door.ticket()
    entering = asyncio.create_task(waiting.__aenter__())
    await asyncio.sleep(0)
    waiting.release()
    assert door.gate.in_flight == 3
    held[0].release()
    with pytest.raises(asyncio.CancelledError):
        await entering
    for ticket in held[1:]:
        ticket.release()
    async with door.ticket() as following:
        assert following.headers["x-ratelimit-remaining-requests"] == "9"
    assert door.gate.in_flight == 0


async def test_a_caller_who_was_gone_before_takes_nothing(door: Door) -> None:
    ticket = door.ticket()
    ticket.release()
    with pytest.raises(asyncio.CancelledError):
        await ticket.__aenter__()
    assert door.gate.in_flight == 0


async def test_tokens_are_charged_as_used(office: Any, clock: Any) -> None:
    office.create("poor", plan="small")
    door = Door(office, clock, plans={"small": {"tokens_per_minute": 100}})

    async def use(hint: int, used: int, *, late: bool) -> None:
        async with door.ticket("poor", prompt_tokens_hint=hint) as ticket:
            ticket.first_token()
            if late:  # the caller hung up, the engine tells afterwards how far it got
                ticket.release()
            ticket.charge(used)

    await use(90, 30, late=False)
    await use(70, 40, late=True)
    await use(30, 30, late=False)
    with pytest.raises(RateLimited, match="100 tokens per minute"):
        await use(1, 1, late=False)


async def generation(ticket: Ticket, started: asyncio.Event) -> AsyncGenerator[str, None]:
    """As the pipeline holds a ticket."""
    async with ticket:
        started.set()
        while True:
            yield "thinking"


async def test_a_closed_generator_settles(door: Door) -> None:
    events = generation(door.ticket(), asyncio.Event())
    await anext(events)
    assert door.gate.in_flight == 1
    await events.aclose()
    assert door.gate.in_flight == 0
    assert door.decisions == [("standard", "admitted"), ("standard", "refunded")]
    never_started = generation(door.ticket(), asyncio.Event())
    await never_started.aclose()
    assert door.gate.in_flight == 0


class Call:
    """One request as the layers above handle it: hung up, its ticket is released first and its task cancelled then."""

    def __init__(self, door: Door, *, answered: bool) -> None:
        self.ticket = door.ticket()
        self.hung_up = asyncio.Event()
        self.task = asyncio.create_task(self._run(answered))

    async def _run(self, answered: bool) -> None:
        async with self.ticket:
            if answered:
                self.ticket.first_token()
            else:
                await self.hung_up.wait()

    def hang_up(self) -> None:
        self.ticket.release()
        self.task.cancel()


@pytest.mark.parametrize("order", ["cancelled, then asked again", "asked again, then cancelled", "all at once"])
async def test_livekits_preemptive_generation(any_door: Door, clock: Any, order: str) -> None:
    """Four requests a turn of which three are cancelled, 40 turns at all the speed of `standard`: no turn fails.

    Each new transcript starts an answer and drops the one before; which of the two the server sees first is chance.
    """
    any_door.gate._desk.limiter._grace = 30.0  # longer than this machine may be busy with something else
    for _ in range(40):
        dropped: list[Call] = []
        for _ in range(3):
            dropped.append(Call(any_door, answered=False))
            if order == "cancelled, then asked again":
                await asyncio.sleep(0)
                dropped[-1].hang_up()
        last = Call(any_door, answered=True)
        if order == "asked again, then cancelled":
            await asyncio.sleep(0)
        for call in dropped:
            call.hang_up()
        await last.task
        await asyncio.gather(*(call.task for call in dropped), return_exceptions=True)
        assert all(call.task.cancelled() for call in dropped)
        assert any_door.gate.in_flight == 0
        clock.move(6)
    assert {outcome for _, outcome in any_door.decisions} <= {"admitted", "refunded"}


async def test_a_store_that_is_away_and_closed_is_a_503(office: Any, clock: Any, replicas: Any) -> None:
    door = Door(office, clock, replicas.store(on_failure="closed", failures=1))
    replicas.server.stop()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await door.pass_through()
    assert not door.gate.store_up
    assert door.gate.in_flight == 0
    assert door.decisions == [("standard", "store")] * 2
