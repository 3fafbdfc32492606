"""OpenTelemetry: one span for every admitted request, by the semantic conventions for generative AI, without a text.

Where and how much to send is read by the SDK from its standard variables: OTEL_EXPORTER_OTLP_ENDPOINT (HTTP and
protobuf), OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, ….
"""

from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import __version__
from server.records import UsageRecord
from server.telemetry.tracing import Call

SERVICE = "electron-server"
FAILED = "the request failed"  # an exception's own message might quote the request


def otlp_tracer() -> "OtelTracer":
    resource = Resource.create({SERVICE_NAME: SERVICE}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


class OtelTracer:
    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE, __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, request_id: str, model: str, call: Call) -> "OtelTrace":
        parent = self._propagator.extract(dict(call.headers))
        span = self._tracer.start_span(
            f"{call.operation} {model}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={
                "gen_ai.operation.name": call.operation,
                "gen_ai.provider.name": "vllm",
                "gen_ai.request.model": model,
                "electron.request_id": request_id,
                **{f"gen_ai.request.{name}": value for name, value in call.parameters.items()},
            },
        )
        headers: dict[str, str] = {}
        self._propagator.inject(headers, set_span_in_context(span))
        return OtelTrace(span, headers)

    def close(self) -> None:
        self._provider.shutdown()


class OtelTrace:
    def __init__(self, span: Span, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._span = span

    def finish(self, record: UsageRecord) -> None:
        self._span.set_attributes(_attributes(record))
        if record.cause == "error":
            self._span.set_status(Status(StatusCode.ERROR, FAILED))
        self._span.end()


def _attributes(record: UsageRecord) -> dict[str, str | int | float | list[str]]:
    told = {
        "gen_ai.response.time_to_first_chunk": record.ttft,
        "error.type": record.error_type,
        "electron.time_to_first_clause": record.first_clause,
        "electron.time_to_tool_name": record.tool_name,
    }
    return {
        "gen_ai.response.id": record.request_id,
        "gen_ai.response.model": record.model,
        "gen_ai.response.finish_reasons": [record.cause],
        "gen_ai.usage.input_tokens": record.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": record.usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.usage.cached_tokens,
        "electron.delivered_tokens": record.delivered_tokens,
        "electron.plan": record.plan,
        "electron.tool_calls": record.tool_calls,
        **{name: value for name, value in told.items() if value is not None},
    }
