"""Prices, to the last billionth."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.records import Usage
from server.settings import PriceSettings
from server.telemetry.prices import PriceList, in_currency

PLANS = PriceList({"standard": PriceSettings(), "enterprise": PriceSettings(input=0.2, cached=0.05, output=0.8)})


def test_the_example_of_the_price_page() -> None:
    """1,550 tokens in and 200 out: 0.00094 cold, 0.00049 with 1,500 of them cached."""
    assert in_currency(PLANS.nanos("standard", Usage(1550, 200, 0), "stop")) == Decimal("0.00094")
    assert in_currency(PLANS.nanos("standard", Usage(1550, 200, 1500), "stop")) == Decimal("0.00049")


def test_each_plan_has_its_prices_and_an_unknown_one_the_shipped() -> None:
    usage = Usage(1_000_000, 1_000_000, 0)
    assert in_currency(PLANS.nanos("enterprise", usage, "stop")) == Decimal(1)
    assert PLANS.nanos("", usage, "stop") == PLANS.nanos("standard", usage, "stop") == 2_000_000_000


@pytest.mark.parametrize(
    ("cause", "free"), [("disconnect", False), ("length", False), ("drain", False), ("error", True), ("crash", True)]
)
def test_only_what_the_server_spoiled_is_free(cause: str, free: bool) -> None:
    assert (PLANS.nanos("standard", Usage(20, 3, 16), cause) == 0) == free  # type: ignore[arg-type]


@given(st.integers(0, 32768), st.integers(0, 32768), st.integers(0, 32768), st.integers(0, 10**6))
def test_the_price_is_exact_but_for_half_a_billionth(prompt: int, cached: int, output: int, micros: int) -> None:
    usage = Usage(max(prompt, cached), output, cached)
    prices = PriceSettings(input=micros / 10**6, cached=0.1, output=1.6)
    exact = (
        (usage.prompt_tokens - cached) * Fraction(micros, 10**6) + cached * Fraction("0.1") + output * Fraction("1.6")
    ) * 1000
    assert abs(PriceList({"p": prices}).nanos("p", usage, "stop") - exact) <= Fraction(1, 2)
