"""The ledger's state as metrics, read when they are."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.telemetry.ledger import LedgerState


class LedgerCollector(Collector):
    def __init__(self, state: Callable[[], LedgerState], registry: CollectorRegistry) -> None:
        self._state = state
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        yield GaugeMetricFamily("electron_ledger_up", "1 while usage goes to the database.", float(state.up))
        yield GaugeMetricFamily(
            "electron_ledger_lag_seconds", "Age of the oldest usage that is not in the database.", state.lag
        )
        yield GaugeMetricFamily("electron_ledger_pending", "Usage records held in memory.", state.pending)
        rows = CounterMetricFamily("electron_ledger_rows", "Usage records by where they went.", labels=["to"])
        for to, count in (("database", state.stored), ("journal", state.journaled), ("lost", state.lost)):
            rows.add_metric([to], count)
        yield rows
