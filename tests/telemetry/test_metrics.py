"""Every figure of a record reaches its series, and no label grows without bound."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.errors import EngineFailed, InvalidRequest, Unavailable
from server.records import Delta, Text, ToolCall, Usage, UsageRecord
from server.settings import MetricsSettings, PriceSettings
from server.telemetry import buckets
from server.telemetry.ledger import LedgerState
from server.telemetry.ledger_metrics import LedgerCollector
from server.telemetry.metrics import Metrics, render
from server.telemetry.prices import PriceList
from server.telemetry.recorder import Recorder
from server.telemetry.requests import Caller, Meter
from tests.telemetry.helpers import Clock, MakeRecord

ACME = Caller("acme", "k1", "standard")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(MetricsSettings(), ["electron"])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"electron_{name}", labels)


def of_plan(metrics: Metrics, name: str, **labels: str) -> float | None:
    return value(metrics, name, model="electron", plan="standard", **labels)


def test_counts_of_one_request(metrics: Metrics, make_record: MakeRecord) -> None:
    series = metrics.begin("electron", ACME)
    assert of_plan(metrics, "requests_in_flight") == 1
    series.finish(make_record(tool_calls=2, filler="phrase", parse_failures=1, structured_failures=1))
    assert of_plan(metrics, "requests_in_flight") == 0
    for name, expected in (
        ("prompt_tokens_total", 20),
        ("cached_tokens_total", 16),
        ("generated_tokens_total", 3),
        ("delivered_tokens_total", 2),
        ("tool_calls_total", 2),
        ("parse_failures_total", 1),
        ("structured_output_failures_total", 1),
        ("cache_hit_ratio_sum", 0.8),
    ):
        assert of_plan(metrics, name) == expected
    assert of_plan(metrics, "requests_total", outcome="stop") == 1
    assert [of_plan(metrics, "tool_turns_total", filler=f) for f in ("model", "phrase", "none")] == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("time_to_first_token_seconds", "ttft"),
        ("time_to_first_clause_seconds", "first_clause"),
        ("time_to_tool_name_seconds", "tool_name"),
        ("output_tokens_per_second", "output_rate"),
        ("request_duration_seconds", "duration"),
    ],
)
def test_each_time_reaches_its_histogram(metrics: Metrics, make_record: MakeRecord, name: str, field: str) -> None:
    metrics.begin("electron", ACME).finish(make_record(**{field: 0.13}))
    assert of_plan(metrics, f"{name}_sum") == pytest.approx(0.13)
    assert of_plan(metrics, f"{name}_count") == 1


def test_what_did_not_happen_is_not_measured(metrics: Metrics, make_record: MakeRecord) -> None:
    metrics.begin("electron", ACME).finish(make_record(usage=Usage(0, 0, 0), ttft=None))
    for name in ("time_to_first_token_seconds", "time_to_first_clause_seconds", "cache_hit_ratio"):
        assert of_plan(metrics, f"{name}_count") == 0


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"cause": "tool_calls"}, "tool_calls"),
        ({"cause": "drain"}, "drain"),
        ({"cause": "error", "error_type": "upstream_error"}, "error"),
        ({"cause": "error", "error_type": None}, "error"),
        ({"cause": "error", "error_type": "invalid_request_error"}, "invalid"),
        ({"cause": "error", "error_type": "service_unavailable"}, "unavailable"),
    ],
)
def test_outcomes_tell_whose_fault_it_was(
    metrics: Metrics, make_record: MakeRecord, fields: dict[str, str | None], outcome: str
) -> None:
    metrics.begin("electron", ACME).finish(make_record(**fields))
    assert of_plan(metrics, "requests_total", outcome=outcome) == 1


@pytest.mark.parametrize(("ttft", "phase"), [(None, "before_first_token"), (0.1, "after_first_token")])
def test_disconnects(metrics: Metrics, make_record: MakeRecord, ttft: float | None, phase: str) -> None:
    metrics.begin("electron", ACME).finish(make_record(cause="disconnect", ttft=ttft))
    assert of_plan(metrics, "disconnects_total", phase=phase) == 1


def labels_of(metrics: Metrics, name: str) -> list[dict[str, str]]:
    families = text_string_to_metric_families(render(metrics.registry).decode())
    return [sample.labels for family in families for sample in family.samples if sample.name == f"electron_{name}"]


def test_labels_are_bounded(make_record: MakeRecord) -> None:
    metrics = Metrics(MetricsSettings(account_label=True, max_accounts=5), ["electron"])
    for i in range(200):
        series = metrics.begin(f"model-{i}", Caller(f"account-{i}", f"key-{i}", f"plan-{i}"))
        series.finish(make_record())
        metrics.decided(f"plan-{i}", f"decision-{i}")
    accounts = {labels["account"] for labels in labels_of(metrics, "prompt_tokens_total")}
    assert accounts == {*(f"account-{i}" for i in range(5)), "other"}
    assert {labels["model"] for labels in labels_of(metrics, "prompt_tokens_total")} == {"other"}
    assert len({labels["plan"] for labels in labels_of(metrics, "prompt_tokens_total")}) == 21
    decisions = labels_of(metrics, "limit_decisions_total")
    assert [len({labels[name] for labels in decisions}) for name in ("plan", "decision")] == [21, 21]
    assert value(metrics, "prompt_tokens_total", model="other", plan="other", account="other") == 180 * 20


def test_a_key_is_never_a_label(metrics: Metrics, make_record: MakeRecord) -> None:
    metrics.begin("electron", Caller("acme", "secret-key-id", "standard")).finish(make_record())
    assert b"secret-key-id" not in render(metrics.registry)
    assert b"acme" not in render(metrics.registry)


@pytest.mark.parametrize(
    ("settings", "counters", "histograms"),
    [
        (MetricsSettings(plan_label=False), {"model"}, {"model"}),
        (MetricsSettings(), {"model", "plan"}, {"model", "plan"}),
        (MetricsSettings(account_label=True), {"model", "plan", "account"}, {"model", "plan"}),
    ],
)
def test_plan_and_account_are_optional(
    settings: MetricsSettings, counters: set[str], histograms: set[str], make_record: MakeRecord
) -> None:
    metrics = Metrics(settings, ["electron"])
    metrics.begin("electron", ACME).finish(make_record())
    assert set(labels_of(metrics, "prompt_tokens_total")[0]) == counters
    assert set(labels_of(metrics, "time_to_first_token_seconds_count")[0]) == histograms
    metrics.decided("standard", "admitted")
    assert set(labels_of(metrics, "limit_decisions_total")[0]) == {"decision", *(histograms - {"model"})}


def test_refusals_and_decisions(metrics: Metrics) -> None:
    metrics.refused(Unavailable("full"))
    metrics.refused(InvalidRequest("bad"))
    metrics.decided("standard", "concurrency")
    assert value(metrics, "refusals_total", status="503", type="service_unavailable") == 1
    assert value(metrics, "refusals_total", status="400", type="invalid_request_error") == 1
    assert value(metrics, "limit_decisions_total", plan="standard", decision="concurrency") == 1


def test_states_are_asked_for_when_the_page_is(metrics: Metrics) -> None:
    good = [True]
    metrics.watch_admission(lambda: good[0], lambda: not good[0], lambda: 7)
    metrics.watch_ready(lambda: good[0])
    names = ("limit_store_up", "keys_good", "queued_prompt_tokens", "ready")
    assert [value(metrics, name) for name in names] == [1, 0, 7, 1]
    good[0] = False
    assert [value(metrics, name) for name in names] == [0, 1, 7, 0]


def test_the_ledger_is_read_when_the_page_is(metrics: Metrics) -> None:
    states = iter([LedgerState(True, 0.0, 0, 0, 0, 0), LedgerState(False, 3.5, 7, 10, 2, 1)])
    state = [next(states)]
    LedgerCollector(lambda: state[0], metrics.registry)
    assert value(metrics, "ledger_up") == 1
    state[0] = next(states)
    assert [value(metrics, f"ledger_{name}") for name in ("up", "lag_seconds", "pending")] == [0, 3.5, 7]
    assert [value(metrics, "ledger_rows_total", to=to) for to in ("database", "journal", "lost")] == [10, 2, 1]


@pytest.mark.parametrize("edges", [buckets.VOICE, buckets.vllm_buckets()["time_to_first_token"]])
def test_edges_where_voice_is_decided(edges: list[float]) -> None:
    assert {0.01, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 10.0} <= set(edges)


@pytest.mark.parametrize("edges", [*buckets.vllm_buckets().values(), buckets.DURATION, buckets.LOOP_LAG])
def test_edges_rise(edges: list[float]) -> None:
    assert list(edges) == sorted(set(edges))
    assert edges[0] > 0


def test_names_are_ours_and_no_time_of_creation_is_told(metrics: Metrics, make_record: MakeRecord) -> None:
    metrics.begin("electron", ACME).finish(make_record())
    families = list(text_string_to_metric_families(render(metrics.registry).decode()))
    assert all(family.name.startswith("electron_") for family in families)
    assert not [family.name for family in families if family.name.endswith("_created")]


def test_several_applications_fit_in_one_process() -> None:
    assert Metrics(MetricsSettings(), ["a"]).registry is not Metrics(MetricsSettings(), ["a"]).registry


class House:
    """A recorder and what it hands on."""

    def __init__(self, metrics: Metrics, clock: Clock, *more: Callable[[UsageRecord], None]) -> None:
        self.records: list[UsageRecord] = []
        prices = PriceList({"standard": PriceSettings()})
        self.recorder = Recorder(clock, lambda: 1_700_000_000.0, prices, metrics, [*more, self.records.append])

    def run(self, *steps: Callable[[Meter], object]) -> UsageRecord:
        with self.recorder.record("id", "electron", ACME) as meter:
            for step in steps:
                step(meter)
        return self.records[-1]


def test_the_recorder_completes_records(metrics: Metrics, clock: Clock) -> None:
    record = House(metrics, clock).run(lambda meter: meter.see(Delta("a", (1, 2), 20, 16)))
    assert (record.account, record.key_id, record.plan) == ("acme", "k1", "standard")
    assert record.started_at == 1_700_000_000.0
    assert record.price_nanos == 0  # no Finish: an error


def test_gaps_are_measured_while_the_request_runs(metrics: Metrics, clock: Clock) -> None:
    def step(meter: Meter) -> None:
        meter.see(Delta("a", (1,), 20, 16))
        clock.now += 0.02

    def half_way(meter: Meter) -> None:
        assert of_plan(metrics, "inter_token_latency_seconds_count") == 2

    House(metrics, clock).run(step, step, step, half_way)
    assert of_plan(metrics, "inter_token_latency_seconds_sum") == pytest.approx(0.04)


@pytest.mark.parametrize(("draining", "cause"), [(False, "disconnect"), (True, "drain")])
def test_who_hung_up(metrics: Metrics, clock: Clock, draining: bool, cause: str) -> None:
    house = House(metrics, clock)
    house.recorder.draining = draining
    with pytest.raises(asyncio.CancelledError), house.recorder.record("id", "electron", ACME):
        raise asyncio.CancelledError
    assert house.records[0].cause == cause


def test_draining_changes_nothing_for_who_is_served(metrics: Metrics, clock: Clock) -> None:
    house = House(metrics, clock)
    house.recorder.draining = True
    with pytest.raises(EngineFailed), house.recorder.record("id", "electron", ACME):
        raise EngineFailed("gone")
    assert house.records[0].cause == "error"


def test_a_sink_that_fails_harms_nobody(metrics: Metrics, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def broken(record: UsageRecord) -> None:
        raise RuntimeError("sink")

    house = House(metrics, clock, broken)
    with caplog.at_level(logging.ERROR):
        house.run(lambda meter: meter.note(Text("Hi")), lambda meter: meter.note(ToolCall(0, "c", "f")))
    assert house.records[0].filler == "model"
    assert "id: a record was not taken" in caplog.text
