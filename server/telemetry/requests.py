"""One record for every admitted request, however it ended."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from server.errors import Draining, ServerError
from server.records import (
    Arguments,
    Cause,
    Delta,
    Event,
    Filler,
    Finish,
    FinishCause,
    Reasoning,
    Text,
    ToolCall,
    Usage,
    UsageRecord,
)
from server.telemetry.clause import ClauseWatch

Clock = Callable[[], float]  # seconds, monotonic
Sink = Callable[[UsageRecord], None]
SoFar = Callable[[], UsageRecord]  # from any thread
Observe = Callable[[float], None]

CLAUSE_LENGTH = 20

logger = logging.getLogger("server.requests")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who pays."""

    account: str = ""
    key_id: str = ""
    plan: str = ""


def _ignore(value: float) -> None:
    """Nobody looks."""


@dataclass(slots=True)
class Meter:
    """Watches one request: what went in, what came out, when.

    The engine's side is seen in `see` and `settle`, the caller's in `note` before an event is handed on and in
    `delivered` after it was taken.

    gap: gets the seconds per token between two deltas.
    """

    clock: Clock
    gap: Observe = _ignore
    clause: ClauseWatch = field(default_factory=lambda: ClauseWatch(CLAUSE_LENGTH))
    started: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    delivered_tokens: int = 0
    first_token_at: float | None = None
    last_token_at: float = 0.0
    first_clause_at: float | None = None
    tool_name_at: float | None = None
    tool_calls: int = 0
    filler: Filler | None = None
    parse_failures: int = 0
    structured_failures: int = 0
    error_type: str | None = None
    cause: FinishCause | None = None
    trace_headers: Mapping[str, str] = field(default_factory=dict)  # for the engine, so that its spans join ours
    spoken: bool = False
    phrased: bool = False

    def see(self, delta: Delta) -> None:
        """One step of the engine."""
        if delta.token_ids:
            self._time(len(delta.token_ids))
        self.prompt_tokens = delta.prompt_tokens
        self.cached_tokens = delta.cached_tokens
        self.completion_tokens += len(delta.token_ids)

    def settle(self, usage: Usage) -> None:
        """The engine's own sums at the end. After an abort they may hold a step that was never handed on."""
        self.prompt_tokens = usage.prompt_tokens
        self.cached_tokens = usage.cached_tokens
        self.completion_tokens = max(self.completion_tokens, usage.completion_tokens)

    def note(self, event: Event) -> None:
        """An event that goes out now."""
        match event:
            case Text(text):
                self._speak(text)
            case ToolCall():
                self._call()
            case Arguments() | Reasoning():
                pass
            case Finish():
                self._end_clause(self.clause.finish())

    def delivered(self) -> None:
        """The transport took the event, so whatever was generated so far is with the caller."""
        self.delivered_tokens = self.completion_tokens

    def say_phrase(self) -> None:
        """The words before the first call are from the table of phrases, not the model's own."""
        self.phrased = True

    @property
    def speaker(self) -> Literal["model", "phrase"] | None:
        """Who spoke before the first call, or before one that never came."""
        if self.phrased:
            return "phrase"
        return "model" if self.filler == "model" else None

    def finish(self, event: Finish) -> None:
        self.cause = event.reason

    def fail(self, error: Exception) -> None:
        self.cause = "drain" if isinstance(error, Draining) else "error"
        self.error_type = error.type if isinstance(error, ServerError) else ServerError.type

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)

    def _time(self, tokens: int) -> None:
        now = self.clock()
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self.gap((now - self.last_token_at) / tokens)
        self.last_token_at = now

    def _speak(self, text: str) -> None:
        self.spoken = self.spoken or not text.isspace()
        self._end_clause(self.clause.feed(text))

    def _call(self) -> None:
        self.tool_calls += 1
        if self.tool_calls > 1:
            return
        self.tool_name_at = self.clock()
        self.filler = "none" if not self.spoken else "phrase" if self.phrased else "model"
        self._end_clause(self.clause.finish())

    def _end_clause(self, ended: bool) -> None:
        if ended:
            self.first_clause_at = self.clock()


@contextmanager
def metered(
    request_id: str,
    model: str,
    clock: Clock,
    sink: Sink,
    gap: Observe = _ignore,
    clause_length: int = CLAUSE_LENGTH,
) -> Iterator[Meter]:
    """Measure a request and hand its record to the sink, after success, error and disconnect alike.

    clause_length: characters; see ClauseWatch.
    """
    meter = Meter(clock, gap, ClauseWatch(clause_length), clock())
    try:
        yield meter
    except Exception as error:
        meter.fail(error)
        raise
    except BaseException:  # the generator was closed or the task cancelled: the caller is gone
        meter.cause = meter.cause or "disconnect"
        raise
    finally:
        sink(record_of(request_id, model, meter, meter.cause or "error"))


def record_of(request_id: str, model: str, meter: Meter, cause: Cause) -> UsageRecord:
    """What a request has come to by now."""

    def since_start(moment: float | None) -> float | None:
        return None if moment is None else moment - meter.started

    return UsageRecord(
        request_id,
        model,
        cause,
        meter.usage,
        since_start(meter.first_token_at),
        meter.clock() - meter.started,
        delivered_tokens=meter.delivered_tokens,
        first_clause=since_start(meter.first_clause_at),
        tool_name=since_start(meter.tool_name_at),
        output_rate=_rate(meter),
        tool_calls=meter.tool_calls,
        filler=meter.filler,
        parse_failures=meter.parse_failures,
        structured_failures=meter.structured_failures,
        error_type=meter.error_type,
    )


def _rate(meter: Meter) -> float | None:
    if meter.first_token_at is None or meter.last_token_at <= meter.first_token_at:
        return None
    return (meter.completion_tokens - 1) / (meter.last_token_at - meter.first_token_at)


def log_record(record: UsageRecord) -> None:
    """One line, without a word of the prompt. The JSON format writes all of the record instead."""
    ttft = "-" if record.ttft is None else f"{record.ttft * 1000:.0f}ms"
    logger.info(
        "%s model=%s cause=%s prompt=%d cached=%d completion=%d ttft=%s duration=%.0fms",
        record.request_id,
        record.model,
        record.cause,
        record.usage.prompt_tokens,
        record.usage.cached_tokens,
        record.usage.completion_tokens,
        ttft,
        record.duration * 1000,
        extra={"usage_record": record},
    )
