"""One record for every admitted request, however it ended."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.records import Delta, Finish, FinishCause, Usage, UsageRecord

Clock = Callable[[], float]  # seconds, monotonic
Sink = Callable[[UsageRecord], None]

logger = logging.getLogger("server.requests")


@dataclass(slots=True)
class Meter:
    """Watches one request: what went in, what came out, when."""

    clock: Clock
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token_at: float | None = None
    cause: FinishCause | None = None

    def see(self, delta: Delta) -> None:
        if self.first_token_at is None and delta.token_ids:
            self.first_token_at = self.clock()
        self.prompt_tokens = delta.prompt_tokens
        self.cached_tokens = delta.cached_tokens
        self.completion_tokens += len(delta.token_ids)

    def finish(self, event: Finish) -> None:
        self.cause = event.reason

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)


@contextmanager
def metered(request_id: str, model: str, clock: Clock, sink: Sink) -> Iterator[Meter]:
    """Measure a request and hand its record to the sink, after success, error and disconnect alike."""
    started, meter = clock(), Meter(clock)
    try:
        yield meter
    except Exception:
        meter.cause = "error"
        raise
    except BaseException:  # the generator was closed or the task cancelled: the caller is gone
        meter.cause = meter.cause or "disconnect"
        raise
    finally:
        ttft = None if meter.first_token_at is None else meter.first_token_at - started
        sink(UsageRecord(request_id, model, meter.cause or "error", meter.usage, ttft, clock() - started))


def log_record(record: UsageRecord) -> None:
    """One line, without a word of the prompt."""
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
    )
