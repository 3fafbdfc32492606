"""Schemathesis against our own OpenAPI document: no 500, every error in the envelope, every answer as documented."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.app import create_app
from server.lifecycle import Lifecycle
from server.settings import LedgerSettings, Settings, TelemetrySettings

DOCUMENTED = [status_code_conformance, content_type_conformance, response_schema_conformance]


with ThreadPoolExecutor(1) as workers:
    SETTINGS = Settings(telemetry=TelemetrySettings(ledger=LedgerSettings(enabled=False)))
    DOCUMENT = create_app(SETTINGS, Lifecycle(SETTINGS, workers)).openapi()
schema = schemathesis.openapi.from_dict(DOCUMENT)


def shorten(body: object) -> None:
    """Leave what is generated as it is, but let no answer run on to the end of the window."""
    if not isinstance(body, dict):
        return
    body["max_tokens"] = _few(body.get("max_tokens"))  # the only one that /completions knows
    if body.get("max_completion_tokens") is not None:
        body["max_completion_tokens"] = _few(body["max_completion_tokens"])


def _few(tokens: object) -> object:
    if tokens is None:
        return 4
    return min(tokens, 4) if isinstance(tokens, (int, float)) and not isinstance(tokens, bool) else tokens


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation(server, case: schemathesis.Case) -> None:
    shorten(case.body)
    response = case.call(base_url=server.root, timeout=300)
    assert response.status_code != 500
    if response.status_code >= 400:
        error = response.json()["error"]
        assert error["message"] and error["type"]
        assert error["request_id"] == response.headers["x-request-id"][0]
    case.validate_response(response, checks=DOCUMENTED)


def test_the_document_is_served(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json() == DOCUMENT
    for prefix in ("/v1", "/waves/v1"):
        for route in ("chat/completions", "completions", "models", "models/{model_id}"):
            assert f"{prefix}/{route}" in DOCUMENT["paths"]
