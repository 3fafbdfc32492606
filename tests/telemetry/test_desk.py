"""A record goes everywhere: metrics, ledger, log and trace, under one id."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.records import Delta, Finish
from server.settings import LedgerSettings, PriceSettings, TelemetrySettings
from server.telemetry.desk import Desk
from server.telemetry.requests import Caller
from server.telemetry.usage import usage_rows

PRICES = {"standard": PriceSettings()}
ACME = Caller("acme", "k1", "standard")


def answer(desk: Desk, request_id: str) -> None:
    with desk.recorder.record(request_id, "electron", ACME) as meter:
        meter.see(Delta("Hi", (1, 2), 20, 16))
        meter.delivered()
        meter.finish(Finish("stop", meter.usage))


async def test_one_request_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = LedgerSettings(directory=tmp_path)
    desk = Desk(TelemetrySettings(ledger=ledger, tracing=False), ["electron"], PRICES)
    desk.start()
    with caplog.at_level(logging.INFO, "server.requests"):
        answer(desk, "id")
    page = (await desk.page.read()).decode()
    await desk.close()
    assert 'electron_requests_total{model="electron",outcome="stop",plan="standard"} 1.0' in page
    assert "electron_ledger_pending" in page
    assert "process_cpu_seconds_total" in page
    assert [entry.message.split()[0] for entry in caplog.records] == ["id"]
    (row,) = await asyncio.to_thread(usage_rows, ledger, "key", "acme")
    assert (row.group, row.requests, row.prompt_tokens, row.delivered_tokens) == ("k1", 1, 20, 2)
    assert f"{row.price:f}" == "0.000006400"


def test_a_request_at_work_can_tell_what_it_has_come_to() -> None:
    desk = Desk(TelemetrySettings(tracing=False), ["electron"], PRICES)
    with desk.recorder.record("id", "electron", ACME) as meter:
        meter.see(Delta("Hi", (1, 2), 20, 16))
        meter.delivered()
        (so_far,) = desk.recorder.at_work()
        record = so_far()
    assert (record.request_id, record.account, record.cause, record.price_nanos) == ("id", "acme", "crash", 0)
    assert (record.usage.prompt_tokens, record.usage.completion_tokens, record.delivered_tokens) == (20, 2, 2)
    assert desk.recorder.at_work() == []


async def test_without_a_ledger_nothing_is_written(tmp_path: Path) -> None:
    settings = TelemetrySettings(ledger=LedgerSettings(enabled=False, directory=tmp_path / "var"), tracing=False)
    desk = Desk(settings, ["electron"], PRICES)
    desk.start()
    answer(desk, "id")
    await desk.close()
    assert not (tmp_path / "var").exists()


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An address that takes traces, and what it took."""
    taken: list[tuple[str, bytes]] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not a word."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Take) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", taken
        http.shutdown()


async def test_traces_go_where_the_standard_variables_say(
    tmp_path: Path, collector: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, taken = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-voices")
    desk = Desk(TelemetrySettings(ledger=LedgerSettings(enabled=False)), ["electron"], PRICES)
    desk.start()
    answer(desk, "the-request-id")
    await desk.close()
    ((path, body),) = taken
    assert path == "/v1/traces"
    assert b"my-voices" in body and b"the-request-id" in body and b"gen_ai.usage.input_tokens" in body
