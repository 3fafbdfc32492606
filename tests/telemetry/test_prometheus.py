"""A real Prometheus reads our page, and every expression over our own series has data."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.errors import Unavailable
from server.records import Usage
from server.settings import MetricsSettings
from server.telemetry.ledger import LedgerState
from server.telemetry.ledger_metrics import LedgerCollector
from server.telemetry.metrics import CONTENT_TYPE, Metrics, render
from server.telemetry.requests import Caller
from tests.conftest import free_port
from tests.telemetry.expressions import panel_expressions, rule_expressions, selectors, without_threshold
from tests.telemetry.helpers import MakeRecord
from tests.telemetry.prometheus import Prometheus


def ours(expression: str) -> bool:
    return not any(name.startswith("vllm:") for name, _ in selectors(expression))


def wanted() -> dict[str, str]:
    parts = {
        f"{name} {i}": part
        for name, expression in rule_expressions().items()
        for i, part in enumerate(without_threshold(expression))
    }
    return {name: text for name, text in {**panel_expressions(), **parts}.items() if ours(text)}


@pytest.fixture
def metrics(make_record: MakeRecord) -> Metrics:
    """After a load in which everything happened once."""
    metrics = Metrics(MetricsSettings(), ["electron"])
    LedgerCollector(lambda: LedgerState(True, 0.1, 1, 100, 5, 0), metrics.registry)
    for outcome in ("stop", "length", "tool_calls", "disconnect", "drain", "error"):
        series = metrics.begin("electron", Caller("acme", "k1", "standard"))
        series.gap.observe(0.01)
        series.finish(
            make_record(
                cause=outcome, usage=Usage(100, 20, 80), first_clause=0.2, tool_name=0.3, output_rate=80.0,
                tool_calls=1, filler="model",
            )
        )  # fmt: skip
    metrics.refused(Unavailable("full"))
    metrics.decided("standard", "requests")
    metrics.watch_admission(lambda: True, lambda: True, lambda: 7)
    metrics.watch_ready(lambda: True)
    metrics.observe_loop_lag(0.001)
    return metrics


@pytest.fixture
def target(metrics: Metrics) -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = render(metrics.registry)
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Not a word."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


def test_every_expression_has_data(tmp_path: Path, target: str) -> None:
    with Prometheus(tmp_path, free_port(), target) as prometheus:
        assert prometheus.wait_for(wanted()) == {}
        assert prometheus.metadata()["electron_time_to_first_token_seconds"][0]["type"] == "histogram"
