"""Our metrics."""

from collections.abc import Callable, Iterable
from importlib.metadata import version as installed_version

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.registry import Collector

from server import __version__
from server.errors import ServerError
from server.settings import MetricsSettings
from server.telemetry.families import Families
from server.telemetry.labels import Bounded
from server.telemetry.requests import Caller
from server.telemetry.series import Series

# Always the classic format: in OpenMetrics the client library would rename vLLM's `vllm:x` to `vllm_x`, and every
# dashboard and gateway that asks for the colon goes blank.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_PLANS = 20
MAX_DECISIONS = 20


def render(registry: Collector) -> bytes:
    """All series of the registry, in text format 0.0.4."""
    return generate_latest(registry)


class Metrics:
    """Counts what happens. In a registry of its own, so that several applications fit in one process.

    models: the names that a request may have; nothing else becomes a label.
    """

    def __init__(self, settings: MetricsSettings, models: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter and histogram, of use to nobody here
        self.registry = CollectorRegistry()
        plan = ("plan",) if settings.plan_label else ()
        account = ("account",) if settings.account_label else ()
        self._counter_labels = ("model", *plan, *account)
        self._histogram_labels = ("model", *plan)
        self._families = Families(self.registry, self._counter_labels, self._histogram_labels, plan)
        self._families.build.labels(__version__, installed_version("vllm")).set(1)
        self._model = Bounded(models)
        self._plan = Bounded(room=MAX_PLANS)
        self._account = Bounded(room=settings.max_accounts)
        self._decision = Bounded(room=MAX_DECISIONS)
        self._plan_label = settings.plan_label
        self._series: dict[tuple[str, ...], Series] = {}
        self.observe_loop_lag = self._families.loop_lag.observe

    def begin(self, model: str, caller: Caller) -> Series:
        """A request was admitted. Its series, for `Series.finish` at its end."""
        values = {
            "model": self._model(model),
            "plan": self._plan(caller.plan),
            "account": self._account(caller.account),
        }
        key = tuple(values[label] for label in self._counter_labels)
        if key not in self._series:
            counters = {label: values[label] for label in self._counter_labels}
            histograms = {label: values[label] for label in self._histogram_labels}
            self._series[key] = Series.of(self._families, counters, histograms)
        series = self._series[key]
        series.in_flight.inc()
        return series

    def refused(self, error: ServerError) -> None:
        """A request was answered with an error."""
        self._families.refusals.labels(str(int(error.status)), error.type).inc()

    def decided(self, plan: str, decision: str) -> None:
        """At the door: admitted, refunded, or what stood in the way."""
        plans = (self._plan(plan),) if self._plan_label else ()
        self._families.decisions.labels(*plans, self._decision(decision)).inc()

    def watch_admission(
        self, store_up: Callable[[], bool], keys_good: Callable[[], bool], queued_tokens: Callable[[], int]
    ) -> None:
        """Asked whenever the page is rendered."""
        self._families.store_up.set_function(store_up)
        self._families.keys_good.set_function(keys_good)
        self._families.queued.set_function(queued_tokens)

    def watch_ready(self, ready: Callable[[], bool]) -> None:
        """Likewise."""
        self._families.ready.set_function(ready)

    def watch_tasks(self, tasks: Callable[[], int]) -> None:
        """Likewise."""
        self._families.tasks.set_function(tasks)
