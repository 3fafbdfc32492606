"""The series that one kind of request adds to, looked up once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from server.records import Filler, FinishCause, UsageRecord
from server.telemetry.families import Families

# What the caller got wrong, and what the server could not take on, are not failures of the server.
OUTCOME_OF_ERROR = {"invalid_request_error": "invalid", "service_unavailable": "unavailable"}
OUTCOMES = (*get_args(FinishCause), *OUTCOME_OF_ERROR.values())
BEFORE, AFTER = PHASES = ("before_first_token", "after_first_token")


def outcome_of(record: UsageRecord) -> str:
    return OUTCOME_OF_ERROR.get(record.error_type or "", record.cause) if record.cause == "error" else record.cause


@dataclass(frozen=True, slots=True)
class Series:
    """Children of the families, for one set of label values."""

    in_flight: Gauge
    requests: Mapping[str, Counter]
    disconnects: Mapping[str, Counter]
    tool_turns: Mapping[str, Counter]
    tool_calls: Counter
    parse_failures: Counter
    structured_failures: Counter
    prompt: Counter
    cached: Counter
    generated: Counter
    delivered: Counter
    ttft: Histogram
    gap: Histogram
    clause: Histogram
    tool_name: Histogram
    duration: Histogram
    rate: Histogram
    hit_ratio: Histogram

    @classmethod
    def of(cls, families: Families, counters: Mapping[str, str], histograms: Mapping[str, str]) -> "Series":
        def each(family: Counter, label: str, values: tuple[str, ...]) -> dict[str, Counter]:
            return {value: family.labels(**counters, **{label: value}) for value in values}

        return cls(
            families.in_flight.labels(**histograms),
            each(families.requests, "outcome", OUTCOMES),
            each(families.disconnects, "phase", PHASES),
            each(families.tool_turns, "filler", get_args(Filler)),
            families.tool_calls.labels(**counters),
            families.parse_failures.labels(**counters),
            families.structured_failures.labels(**counters),
            families.prompt.labels(**counters),
            families.cached.labels(**counters),
            families.generated.labels(**counters),
            families.delivered.labels(**counters),
            families.ttft.labels(**histograms),
            families.gap.labels(**histograms),
            families.clause.labels(**histograms),
            families.tool_name.labels(**histograms),
            families.duration.labels(**histograms),
            families.rate.labels(**histograms),
            families.hit_ratio.labels(**histograms),
        )

    def finish(self, record: UsageRecord) -> None:
        """Count a request that `Metrics.begin` counted in."""
        self.in_flight.dec()
        self.requests[outcome_of(record)].inc()
        if record.cause == "disconnect":
            self.disconnects[BEFORE if record.ttft is None else AFTER].inc()
        self._count_tokens(record)
        self._count_tools(record)
        self.parse_failures.inc(record.parse_failures)
        self.structured_failures.inc(record.structured_failures)
        self._measure(record)

    def _count_tokens(self, record: UsageRecord) -> None:
        usage = record.usage
        self.prompt.inc(usage.prompt_tokens)
        self.cached.inc(usage.cached_tokens)
        self.generated.inc(usage.completion_tokens)
        self.delivered.inc(record.delivered_tokens)
        if usage.prompt_tokens:
            self.hit_ratio.observe(usage.cached_tokens / usage.prompt_tokens)

    def _count_tools(self, record: UsageRecord) -> None:
        self.tool_calls.inc(record.tool_calls)
        if record.filler is not None:
            self.tool_turns[record.filler].inc()

    def _measure(self, record: UsageRecord) -> None:
        self.duration.observe(record.duration)
        for histogram, value in (
            (self.ttft, record.ttft),
            (self.clause, record.first_clause),
            (self.tool_name, record.tool_name),
            (self.rate, record.output_rate),
        ):
            if value is not None:
                histogram.observe(value)
