"""One span for each request, in the caller's trace, without a word of the conversation."""

import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from server.errors import EngineFailed
from server.records import Delta, Finish, Text
from server.settings import MetricsSettings, SettingsError, TelemetrySettings
from server.telemetry.metrics import Metrics
from server.telemetry.otel import OtelTracer
from server.telemetry.prices import PriceList
from server.telemetry.recorder import Recorder
from server.telemetry.requests import Caller
from server.telemetry.tracing import NO_TRACES, Call, make_tracer
from tests.telemetry.helpers import Clock

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def recorder(spans: InMemorySpanExporter, clock: Clock) -> Recorder:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    metrics = Metrics(MetricsSettings(), ["electron"])
    return Recorder(clock, clock, PriceList({}), metrics, [], OtelTracer(provider))


def answer(recorder: Recorder, clock: Clock, call: Call) -> dict[str, str]:
    with recorder.record("id", "electron", Caller("acme", "k1", "standard"), call) as meter:
        clock.now += 0.25
        meter.see(Delta("secret words", (1, 2), 20, 16))
        meter.note(Text("secret words"))
        meter.finish(Finish("stop", meter.usage))
        return dict(meter.trace_headers)


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def test_attributes(recorder: Recorder, spans: InMemorySpanExporter, clock: Clock) -> None:
    answer(recorder, clock, Call("chat", parameters={"max_tokens": 50, "temperature": 0.5}))
    span = only(spans)
    assert (span.name, span.kind, span.status.status_code) == ("chat electron", SpanKind.SERVER, StatusCode.UNSET)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "electron",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "electron.request_id": "id",
    }
    assert span.attributes is not None
    assert expected.items() <= dict(span.attributes).items()


def test_the_trace_goes_from_the_caller_through_us_to_the_engine(
    recorder: Recorder, spans: InMemorySpanExporter, clock: Clock
) -> None:
    headers = answer(recorder, clock, Call(headers={"traceparent": PARENT, "accept": "*/*"}))
    span = only(spans)
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == TRACE
    assert span.context is not None
    assert headers["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"


def test_a_failure_is_marked_and_not_quoted(recorder: Recorder, spans: InMemorySpanExporter) -> None:
    with pytest.raises(EngineFailed), recorder.record("id", "electron", Caller()):
        raise EngineFailed("secret words")
    span = only(spans)
    assert span.status.status_code == StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "upstream_error"
    assert "secret" not in span.to_json()


def test_no_word_and_no_account_is_told(recorder: Recorder, spans: InMemorySpanExporter, clock: Clock) -> None:
    answer(recorder, clock, Call())
    assert "secret" not in only(spans).to_json()
    assert "k1" not in only(spans).to_json()


def test_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert not TelemetrySettings().tracing
    assert make_tracer(False) is NO_TRACES
    assert dict(NO_TRACES.begin("id", "electron", Call()).headers) == {}


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_standard_variables_switch_it_on(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on: bool
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert TelemetrySettings().tracing == on


def test_without_its_packages_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "server.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"telemetry\.tracing"):
        make_tracer(True)
