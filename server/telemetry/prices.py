"""What tokens cost."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from server.records import Cause, Usage
from server.settings import PriceSettings

# A price is for a million tokens; the unit here is a billionth of the currency.
NANOS_PER_TOKEN = 1000


class PriceList:
    """Prices by plan; a plan without prices has the shipped ones. Exact: only a whole request is rounded."""

    def __init__(self, plans: Mapping[str, PriceSettings]) -> None:
        self._plans = {plan: _Prices(prices) for plan, prices in plans.items()}
        self._shipped = _Prices(PriceSettings())

    def nanos(self, plan: str, usage: Usage, cause: Cause) -> int:
        """The price of one request. Who hangs up pays for what was generated; what the server spoiled is free."""
        return 0 if cause in ("error", "crash") else self._plans.get(plan, self._shipped).nanos(usage)


class _Prices:
    """In nanos per token."""

    def __init__(self, prices: PriceSettings) -> None:
        # By way of text, since 0.1 is meant and not the float next to it.
        self._input, self._cached, self._output = (
            NANOS_PER_TOKEN * Decimal(str(price)) for price in (prices.input, prices.cached, prices.output)
        )

    def nanos(self, usage: Usage) -> int:
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * self._input + usage.cached_tokens * self._cached + usage.completion_tokens * self._output
        return int(total.to_integral_value(ROUND_HALF_EVEN))


def in_currency(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)
