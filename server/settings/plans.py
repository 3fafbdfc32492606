"""Plans and their prices."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.settings.base import Section, Strings

ServiceClass = Literal["live", "speculative", "background"]


class PriceSettings(Section):
    """What a million tokens cost, in the operator's currency."""

    input: float = Field(0.40, ge=0)
    cached: float = Field(0.10, ge=0, description="Prompt tokens found in the prefix cache.")
    output: float = Field(1.60, ge=0)


class PlanSettings(Section):
    """What an account may do. Counts are per account and minute, over a sliding window; absent: no limit."""

    requests_per_minute: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1, description="Requests at work at once.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Prompt and output tokens together.")
    refunds_per_minute: int | None = Field(
        None, ge=0, description="Cancelled requests that do not count; absent: four times requests_per_minute."
    )
    models: Strings | None = Field(None, description="Served names; absent: all of them; empty: none.")
    service_class: ServiceClass = Field("live", description="The best that its requests get; they may ask for less.")
    prices: PriceSettings = PriceSettings()

    @property
    def limited(self) -> bool:
        """Whether there is anything to count."""
        return any(limit is not None for limit in (self.requests_per_minute, self.concurrency, self.tokens_per_minute))

    @property
    def refund_cap(self) -> int:
        """Four: a voice client that starts an answer early sends up to four requests a turn and cancels three."""
        return 4 * (self.requests_per_minute or 0) if self.refunds_per_minute is None else self.refunds_per_minute


SHIPPED_PLANS: Mapping[str, Mapping[str, Any]] = {
    "standard": {"requests_per_minute": 10, "concurrency": 3},
    "enterprise": {"requests_per_minute": 200, "concurrency": 20},
}


def _with_shipped_plans(plans: Any) -> Any:
    """What is said of a shipped plan changes it; what is not said of it stays."""
    if not isinstance(plans, Mapping):
        return plans
    shipped = {name: SHIPPED_PLANS.get(name, {}) for name in (*SHIPPED_PLANS, *plans)}
    given = {name: plans.get(name, {}) for name in shipped}
    return {name: {**shipped[name], **plan} if isinstance(plan, Mapping) else plan for name, plan in given.items()}


Plans = Annotated[dict[str, PlanSettings], BeforeValidator(_with_shipped_plans), Field(validate_default=True)]
