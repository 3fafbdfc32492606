"""One record for every request, however it ended."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from server.errors import EngineFailed, InvalidRequest
from server.records import Arguments, Delta, Event, Finish, Reasoning, Text, ToolCall, Usage, UsageRecord
from server.telemetry.requests import Meter, log_record, metered
from tests.telemetry.helpers import Clock


@pytest.fixture
def records() -> list[UsageRecord]:
    return []


def tokens(count: int) -> Delta:
    return Delta("a", tuple(range(count)), 20, 16)


def measure(clock: Clock, *steps: Callable[[Meter], object] | float, gaps: list[float] | None = None) -> UsageRecord:
    """Steps on the meter; numbers are seconds that pass."""
    records: list[UsageRecord] = []
    with metered("id", "m", clock, records.append, (gaps if gaps is not None else []).append) as meter:
        for step in steps:
            if isinstance(step, float):
                clock.now += step
            else:
                step(meter)
    return records[0]


def see(count: int) -> Callable[[Meter], object]:
    return lambda meter: meter.see(tokens(count))


def note(event: Event) -> Callable[[Meter], object]:
    return lambda meter: meter.note(event)


def finish(meter: Meter) -> None:
    meter.finish(Finish("stop", meter.usage))


CALL = ToolCall(0, "call_1", "look_up")


def test_a_thought_is_no_clause(clock: Clock) -> None:
    record = measure(clock, note(Reasoning("He wants the time. ")), 0.5, note(Text("It is noon. ")), finish)
    assert record.first_clause == 0.5


def test_success(clock: Clock) -> None:
    record = measure(clock, 0.5, see(1), 0.25, see(2), 0.25, finish)
    assert record == UsageRecord(
        "id", "m", "stop", Usage(20, 3, 16), ttft=0.5, duration=1.0, output_rate=8.0
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "cause", "kind"),
    [
        (RuntimeError(), "error", "server_error"),
        (EngineFailed("gone"), "error", "upstream_error"),
        (InvalidRequest("too long"), "error", "invalid_request_error"),
        (GeneratorExit(), "disconnect", None),
        (asyncio.CancelledError(), "disconnect", None),
    ],
)
def test_failures_keep_what_was_generated(
    records: list[UsageRecord], clock: Clock, error: BaseException, cause: str, kind: str | None
) -> None:
    with pytest.raises(type(error)), metered("id", "m", clock, records.append) as meter:
        meter.see(tokens(1))
        raise error
    assert (records[0].cause, records[0].usage, records[0].error_type) == (cause, Usage(20, 1, 16), kind)


def test_a_caller_who_leaves_after_the_last_event_was_served(records: list[UsageRecord], clock: Clock) -> None:
    with pytest.raises(GeneratorExit), metered("id", "m", clock, records.append) as meter:
        meter.finish(Finish("length", meter.usage))
        raise GeneratorExit
    assert records[0].cause == "length"


def test_no_token_no_times(clock: Clock) -> None:
    record = measure(clock, 1.0)
    assert (record.ttft, record.first_clause, record.tool_name, record.output_rate) == (None,) * 4


def test_one_token_has_no_rate(clock: Clock) -> None:
    assert measure(clock, 1.0, see(1), 1.0).output_rate is None


def test_the_gap_is_per_token(clock: Clock) -> None:
    gaps: list[float] = []
    measure(clock, 1.0, see(1), 0.25, see(1), 0.5, see(2), see(0), gaps=gaps)
    assert gaps == [0.25, 0.25]


def test_delivered_is_what_was_generated_when_the_transport_last_took_something(clock: Clock) -> None:
    def delivered(meter: Meter) -> None:
        meter.delivered()

    assert measure(clock, see(2), delivered, see(3)).delivered_tokens == 2
    assert measure(clock, see(2), see(3), delivered).delivered_tokens == 5
    assert measure(clock, see(2)).delivered_tokens == 0


def test_the_engine_knows_of_tokens_that_it_did_not_hand_on(clock: Clock) -> None:
    def settle(meter: Meter) -> None:
        meter.settle(Usage(20, 4, 16))

    assert measure(clock, settle).usage == Usage(20, 4, 16)
    assert measure(clock, see(3), settle).usage == Usage(20, 4, 16)
    assert measure(clock, see(5), settle).usage == Usage(20, 5, 16)


def test_the_first_clause_is_the_first_whole_sentence(clock: Clock) -> None:
    record = measure(clock, 0.5, note(Text("Let me ")), 0.5, note(Text("check. One")), 0.5, note(Text(" moment.")))
    assert record.first_clause == 1.0


def test_words_before_a_call_end_with_the_call(clock: Clock) -> None:
    record = measure(clock, 0.5, note(Text("One moment")), 0.5, note(CALL), 0.5, note(Arguments(0, "{}")))
    assert (record.first_clause, record.tool_name, record.tool_calls) == (1.0, 1.0, 1)


def test_words_at_the_end_end_with_the_answer(clock: Clock) -> None:
    record = measure(clock, note(Text("Yes")), 0.5, note(Finish("stop", Usage(1, 1, 0))))
    assert record.first_clause == 0.5


@pytest.mark.parametrize(
    ("steps", "filler"),
    [
        ([note(CALL)], "none"),
        ([note(Text(" \n")), note(CALL)], "none"),
        ([note(Text("Sure.")), note(CALL)], "model"),
        ([Meter.say_phrase, note(Text("Sure.")), note(CALL)], "phrase"),
        ([note(CALL), note(Text("Sure."))], "none"),
        ([note(Text("Sure."))], None),
    ],
)
def test_who_spoke_before_the_call(clock: Clock, steps: list[Callable[[Meter], object]], filler: str | None) -> None:
    assert measure(clock, *steps).filler == filler


def test_only_the_first_call_is_timed(clock: Clock) -> None:
    record = measure(clock, 0.5, note(CALL), 0.5, note(ToolCall(1, "call_2", "look_up")))
    assert (record.tool_name, record.tool_calls) == (0.5, 2)


def test_the_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "server.requests"):
        log_record(UsageRecord("id", "m", "stop", Usage(20, 3, 16), ttft=0.1234, duration=2.0))
    assert caplog.messages == ["id model=m cause=stop prompt=20 cached=16 completion=3 ttft=123ms duration=2000ms"]
