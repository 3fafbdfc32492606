"""What tokens cost."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from server.records import FinishCause, Usage
from server.settings import PriceSettings, TelemetrySettings

NANOS = 1_000_000_000
TOKENS = 1_000_000  # that a price is for


class PriceList:
    """Prices by plan. Exact: one billionth of the currency is the unit, and only a whole request is rounded."""

    def __init__(self, default: PriceSettings, plans: Mapping[str, PriceSettings]) -> None:
        self._default = default
        self._plans = dict(plans)

    @classmethod
    def of(cls, settings: TelemetrySettings) -> "PriceList":
        return cls(settings.prices, settings.plan_prices)

    def nanos(self, plan: str, usage: Usage, cause: FinishCause) -> int:
        """The price of one request. Who hangs up pays for what was generated; what the server spoiled is free."""
        if cause == "error":
            return 0
        prices = self._plans.get(plan, self._default)
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * prices.input + usage.cached_tokens * prices.cached + usage.completion_tokens * prices.output
        return int((total * NANOS / TOKENS).to_integral_value(ROUND_HALF_EVEN))


def in_currency(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)
