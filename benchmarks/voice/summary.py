"""The figures of a run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.voice.load import Run
from benchmarks.voice.records import BARGE_IN, OK, Request

QUANTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Slo:
    """What a call must keep to be a good one. Milliseconds."""

    first: float = 300.0
    gap: float = 30.0

    def met(self, request: Request) -> bool:
        """The first words in time, and 95 of 100 gaps; of the call of a tool only the first piece."""
        if request.outcome not in (OK, BARGE_IN) or request.first is None:
            return False
        fluent = request.tool or (quantile(request.gaps, 95) or 0.0) <= self.gap
        return request.first <= self.first and fluent


def quantile(values: Sequence[float], percent: float) -> float | None:
    """Between neighbours in a straight line; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    known = [value for value in values if value is not None]
    figures = {f"p{percent}": _rounded(quantile(known, percent)) for percent in QUANTILES}
    return {"count": len(known), **figures}


def summarize(run: Run, slo: Slo) -> dict[str, Any]:
    """Times in milliseconds. A request that failed counts against the SLO, and has no part in the times."""
    requests, seconds = run.requests, run.seconds
    heard = [one for one in requests if one.outcome in (OK, BARGE_IN)]
    good = sum(map(slo.met, requests))
    prompt, cached = sum(one.prompt_tokens for one in heard), sum(one.cached_tokens for one in heard)
    called = [one for one in heard if one.tool]
    return {
        "requests": len(requests),
        "outcomes": dict(Counter(one.outcome for one in requests).most_common()),
        "calls_at_once": _rounded(_mean([one.calls for one in requests])),
        "first": spread(one.first for one in heard if not one.tool),
        "first_of_tool_turns": spread(one.first for one in called),
        "clause": spread(one.clause for one in heard if not one.tool),
        "clause_of_tool_turns": spread(one.clause for one in called),
        "call": spread(one.call for one in called),
        "gap": spread(gap for one in heard if not one.tool for gap in one.gaps),  # nobody hears those of arguments
        "per_token": spread(one.per_token for one in heard if one.outcome == OK and not one.tool),
        "tokens_per_second": _rounded(sum(one.output_tokens for one in heard) / seconds),
        "goodput": _rounded(good / seconds),
        "within_slo": _rounded(good / len(requests), 4) if requests else None,
        "cache_hit_ratio": _rounded(cached / prompt, 4) if prompt else None,
        "called_the_tool": _share([one.call is not None for one in called]),
        "valid_arguments": _share([bool(one.valid) for one in called]),
        "markup": _share([one.markup for one in heard if one.markup is not None]),
        "processor": _rounded(run.per_token, 3),
        "errors": len(requests) - len(heard),
        "client_lag": spread(run.lag),
    }


def within(summary: dict[str, Any], slo: Slo) -> bool:
    """Whether the run as a whole keeps the SLO: p95 of first words and of gaps, and no error."""
    first = max((summary[kind]["p95"] or 0.0 for kind in ("first", "first_of_tool_turns")), default=0.0)
    return (
        bool(summary["requests"])
        and not summary["errors"]
        and first <= slo.first
        and ((summary["gap"]["p95"] or 0.0) <= slo.gap)
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _share(flags: Sequence[bool]) -> float | None:
    return _rounded(_mean(flags), 4)


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
