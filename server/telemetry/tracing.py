"""What the recorder asks of tracing, and its being off. OpenTelemetry itself is in `otel` and is optional."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from server.records import UsageRecord
from server.settings import SettingsError

Operation = Literal["chat", "text_completion"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a trace says at its start.

    headers: of the HTTP request, lower case; `traceparent` and `tracestate` make it a child of the caller's trace.
    parameters: sampling, by the names of `gen_ai.request.*`, as in `max_tokens`. Never a text of the conversation.
    """

    operation: Operation = "chat"
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | bool | int | float] = field(default_factory=dict)


class Trace(Protocol):
    """One request. `headers`: for the engine, so that its spans become children of this one."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def finish(self, record: UsageRecord) -> None: ...


class Tracer(Protocol):
    def begin(self, request_id: str, model: str, call: Call) -> Trace: ...

    def close(self) -> None:
        """Send what is left. Blocks."""


class NoTrace:
    headers: Mapping[str, str] = MappingProxyType({})

    def finish(self, record: UsageRecord) -> None:
        """Nobody asked."""


class NoTracer:
    def __init__(self) -> None:
        self._trace = NoTrace()

    def begin(self, request_id: str, model: str, call: Call) -> Trace:
        return self._trace

    def close(self) -> None:
        """Nothing is left."""


NO_TRACES: Tracer = NoTracer()


def make_tracer(enabled: bool) -> Tracer:
    """
    Raises:
        SettingsError: traces are asked for and OpenTelemetry is not installed.
    """
    if not enabled:
        return NO_TRACES
    try:
        from server.telemetry.otel import otlp_tracer
    except ImportError as error:
        raise SettingsError(f"`telemetry.tracing` needs the packages of the extra `tracing`: {error}") from None
    return otlp_tracer()
