"""What an operator and a gateway ask for."""

import httpx
import pytest


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
def test_probes(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize("accept", ["*/*", OPENMETRICS, f"{OPENMETRICS}; escaping=allow-utf-8"])
def test_metrics_are_always_in_the_classic_format(http: httpx.Client, accept: str) -> None:
    response = http.get("/metrics", headers={"Accept": accept}, follow_redirects=False)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for series in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
        assert f"\n{series}{{" in response.text
    assert 'block_size="16"' in response.text


def test_a_stream_says_that_it_must_not_be_buffered(http: httpx.Client) -> None:
    body = {"model": "electron", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["cache-control"] == "no-cache"
        assert list(response.iter_lines())[-2:] == ["data: [DONE]", ""]
