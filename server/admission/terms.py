"""What the parts of this room hand one another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from server.settings import PlanSettings

Obstacle = Literal["requests", "tokens", "concurrency"]

# What becomes of a request's place in the window when it ends. keep: it stays, for the request was answered. refund: it
# is given back, up to the plan's cap, for the caller hung up before the first token. undo: it was never taken.
Settling = Literal["keep", "refund", "undo"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The countable part of a plan; None: no limit. `refunds`: cancelled requests a minute that do not count."""

    requests: int | None = None
    concurrency: int | None = None
    tokens: int | None = None
    refunds: int = 0

    @classmethod
    def of(cls, plan: PlanSettings) -> "Bounds":
        return cls(plan.requests_per_minute, plan.concurrency, plan.tokens_per_minute, plan.refund_cap)

    @property
    def windowed(self) -> bool:
        """Whether the last minute matters."""
        return self.requests is not None or self.tokens is not None

    @property
    def unlimited(self) -> bool:
        return not self.windowed and self.concurrency is None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands after a request was considered.

    obstacle: what refused it; None: it was admitted, and is counted below.
    requests, running: in the last minute, and now.
    retry_after: seconds until the obstacle goes by itself; 0 where nobody can know.
    reset: seconds until the oldest request leaves the window; 0 where there is none.
    """

    obstacle: Obstacle | None = None
    requests: int = 0
    running: int = 0
    retry_after: float = 0.0
    reset: float = 0.0


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one admitted request. `tokens`: what it really used; None: what was reserved stands."""

    account: str
    lease: str
    settling: Settling
    bounds: Bounds
    tokens: int | None = None


def rate_limit_headers(standing: Standing, bounds: Bounds) -> dict[str, str]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,concurrency}`, for what the plan limits."""
    headers: dict[str, str] = {}
    if bounds.requests is not None:
        headers |= _triple("requests", bounds.requests, standing.requests, standing.reset)
    if bounds.concurrency is not None:
        full = standing.running >= bounds.concurrency
        headers |= _triple("concurrency", bounds.concurrency, standing.running, 1.0 if full else 0.0)
    return headers


def _triple(kind: str, limit: int, used: int, reset: float) -> Mapping[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(max(0, limit - used)),
        f"x-ratelimit-reset-{kind}": f"{math.ceil(reset)}s",
    }
