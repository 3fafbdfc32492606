"""Plans in the configuration."""

import pytest

from server.settings import AdmissionSettings, PlanSettings, Settings, SettingsError, load_settings


def plans(*assignments: str) -> dict[str, PlanSettings]:
    return load_settings(environment={}, assignments=assignments).admission.plans


def test_the_shipped_plans() -> None:
    shipped = AdmissionSettings().plans
    assert {name: (plan.requests_per_minute, plan.concurrency) for name, plan in shipped.items()} == {
        "standard": (10, 3),
        "enterprise": (200, 20),
    }
    for plan in shipped.values():
        assert (plan.prices.input, plan.prices.cached, plan.prices.output) == (0.40, 0.10, 1.60)
        assert (plan.models, plan.tokens_per_minute, plan.service_class) == (None, None, "live")
    assert Settings().admission.plans == shipped == plans()


def test_what_is_not_said_of_a_shipped_plan_stays() -> None:
    changed = plans("admission.plans.standard.concurrency=5", "admission.plans.standard.prices.output=2")
    assert (changed["standard"].requests_per_minute, changed["standard"].concurrency) == (10, 5)
    assert (changed["standard"].prices.input, changed["standard"].prices.output) == (0.40, 2)
    assert changed["enterprise"] == AdmissionSettings().plans["enterprise"]


def test_a_new_plan_has_the_limits_that_are_written() -> None:
    gold = plans("admission.plans.gold={tokens_per_minute: 9, models: big, service_class: background}")["gold"]
    assert (gold.tokens_per_minute, gold.models, gold.service_class) == (9, ("big",), "background")
    assert (gold.requests_per_minute, gold.concurrency) == (None, None)


def test_refunds_follow_the_requests_unless_written() -> None:
    assert AdmissionSettings().plans["standard"].refund_cap == 40
    assert PlanSettings(requests_per_minute=5, refunds_per_minute=0).refund_cap == 0


@pytest.mark.parametrize(
    "assignment",
    [
        "admission.plans.gold.rpm=1",
        "admission.plans.standard=7",
        "admission.plans=7",
        "admission.plans.standard.concurrency=0",
        "admission.auth=maybe",
        "admission.redis.timeout=0",
    ],
)
def test_nonsense_is_refused_by_name(assignment: str) -> None:
    with pytest.raises(SettingsError) as raised:
        plans(assignment)
    assert assignment.split("=")[0] in str(raised.value)
