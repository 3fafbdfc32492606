"""One record for every request, however it ended."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from server.records import Delta, Finish, Usage, UsageRecord
from server.telemetry.requests import log_record, metered


class Ticks:
    """A clock that advances one second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def records() -> list[UsageRecord]:
    return []


def deltas() -> Iterator[Delta]:
    yield Delta("", (1,), 20, 16)
    yield Delta("a", (2, 3), 20, 16)


def test_success(records: list[UsageRecord]) -> None:
    with metered("id", "m", Ticks(), records.append) as meter:
        for delta in deltas():
            meter.see(delta)
        meter.finish(Finish("stop", meter.usage))
    assert records == [UsageRecord("id", "m", "stop", Usage(20, 3, 16), ttft=1.0, duration=2.0)]


@pytest.mark.parametrize(
    ("error", "cause"),
    [(RuntimeError(), "error"), (GeneratorExit(), "disconnect"), (asyncio.CancelledError(), "disconnect")],
)
def test_failures_keep_what_was_generated(records: list[UsageRecord], error: BaseException, cause: str) -> None:
    with pytest.raises(type(error)), metered("id", "m", Ticks(), records.append) as meter:
        meter.see(next(deltas()))
        raise error
    assert (records[0].cause, records[0].usage) == (cause, Usage(20, 1, 16))


def test_a_caller_who_leaves_after_the_last_event_was_served(records: list[UsageRecord]) -> None:
    with pytest.raises(GeneratorExit), metered("id", "m", Ticks(), records.append) as meter:
        meter.finish(Finish("length", meter.usage))
        raise GeneratorExit
    assert records[0].cause == "length"


def test_no_token_no_ttft(records: list[UsageRecord]) -> None:
    with pytest.raises(RuntimeError), metered("id", "m", Ticks(), records.append):
        raise RuntimeError
    assert records[0].ttft is None


def test_the_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "server.requests"):
        log_record(UsageRecord("id", "m", "stop", Usage(20, 3, 16), ttft=0.1234, duration=2.0))
    assert caplog.messages == ["id model=m cause=stop prompt=20 cached=16 completion=3 ttft=123ms duration=2000ms"]
