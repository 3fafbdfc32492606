"""Dashboard and rules ask for what there is."""

import subprocess
from typing import Any

import pytest

from tests.telemetry.expressions import (
    ALERTS,
    VARIABLES,
    dashboard,
    groupings,
    our_series,
    panel_expressions,
    recorded_series,
    rule_expressions,
    rules,
    selectors,
    vllm_series,
)

EXPRESSIONS = {**panel_expressions(), **rule_expressions()}


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    return {**our_series(), **vllm_series(), **recorded_series()}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_every_series_and_label_exists(expression: str, series: dict[str, set[str]]) -> None:
    read = dict(selectors(expression))
    assert read
    assert set(read) <= set(series)
    for name, labels in read.items():
        assert labels <= series[name]
    assert groupings(expression) <= set().union(*(series[name] for name in read))


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_quantiles_are_taken_of_sums(expression: str) -> None:
    """`histogram_quantile` of a histogram per replica says nothing about the callers."""
    if "histogram_quantile" in expression:
        assert "le" in groupings(expression)


def test_all_of_our_series_are_shown_or_watched() -> None:
    read = {name for expression in EXPRESSIONS.values() for name, _ in selectors(expression)}
    stems = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in our_series()}
    assert stems == {name.removesuffix("_bucket") for name in read if name.startswith("electron_")}


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels: list[dict[str, Any]] = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in panels)
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_variables_are_declared() -> None:
    declared = {f"${variable['name']}" for variable in dashboard()["templating"]["list"]}
    assert set(VARIABLES) - {"$__rate_interval"} == declared - {"$datasource"}
    assert not [expression for expression in panel_expressions().values() if "$" in expression]


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    tests = (ALERTS.parent / "alerts_test.yaml").read_text()
    for rule in rules():
        if "alert" in rule:
            assert f"alertname: {rule['alert']}\n" in tests
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"]["summary"]


@pytest.mark.parametrize("command", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_promtool(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
