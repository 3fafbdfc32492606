"""Joins the meter of a request with whoever wants its record."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from server.records import UsageRecord
from server.telemetry.metrics import Metrics
from server.telemetry.prices import PriceList
from server.telemetry.requests import CLAUSE_LENGTH, Caller, Clock, Meter, Sink, SoFar, metered, record_of
from server.telemetry.tracing import NO_TRACES, Call, Tracer

ANYONE = Caller()
CHAT = Call()

logger = logging.getLogger("server.telemetry")


class Recorder:
    """Measures requests, prices them and hands their records on.

    clock: monotonic; wall: since the epoch; both in seconds.
    sinks: get every record; one that raises harms neither the request nor the other sinks.
    """

    def __init__(
        self,
        clock: Clock,
        wall: Clock,
        prices: PriceList,
        metrics: Metrics,
        sinks: Sequence[Sink],
        tracer: Tracer = NO_TRACES,
        clause_length: int = CLAUSE_LENGTH,
    ) -> None:
        self.draining = False  # from when the server hangs up on its callers, not they on it
        self._clock = clock
        self._wall = wall
        self._prices = prices
        self._metrics = metrics
        self._sinks = tuple(sinks)
        self._tracer = tracer
        self._clause_length = clause_length
        self._at_work: dict[str, SoFar] = {}

    def at_work(self) -> list[SoFar]:
        """What the requests at work come to, as it is to stand if this process ends without another word."""
        return list(self._at_work.values())

    @contextmanager
    def record(self, request_id: str, model: str, caller: Caller = ANYONE, call: Call = CHAT) -> Iterator[Meter]:
        """Measure one admitted request, however it ends."""
        series = self._metrics.begin(model, caller)
        trace = self._tracer.begin(request_id, model, call)
        started_at = self._wall()

        def sink(measured: UsageRecord) -> None:
            self._at_work.pop(request_id, None)
            record = self._complete(measured, caller, started_at)
            for receive in (series.finish, trace.finish, *self._sinks):
                _hand(record, receive)

        with metered(request_id, model, self._clock, sink, series.gap.observe, self._clause_length) as meter:
            meter.trace_headers = trace.headers
            self._at_work[request_id] = lambda: self._complete(
                record_of(request_id, model, meter, "crash"), caller, started_at
            )
            yield meter

    def _complete(self, record: UsageRecord, caller: Caller, started_at: float) -> UsageRecord:
        cause = "drain" if self.draining and record.cause == "disconnect" else record.cause
        return replace(
            record,
            cause=cause,
            account=caller.account,
            key_id=caller.key_id,
            plan=caller.plan,
            started_at=started_at,
            price_nanos=self._prices.nanos(caller.plan, record.usage, cause),
        )


def _hand(record: UsageRecord, receive: Sink) -> None:
    try:
        receive(record)
    except Exception:
        logger.exception("%s: a record was not taken", record.request_id)
