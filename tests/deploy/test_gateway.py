"""What an inference gateway's endpoint picker needs of a replica."""

import itertools
import json
import re

import httpx
import pytest

from benchmarks import picker
from benchmarks.callers import talk
from benchmarks.scale_out.envoy import RULE
from tests.conftest import Server
from tests.deploy.chart import CHART, one, rendered, server_container

PAGE = """\
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0"} 3.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 3.0
vllm:num_requests_running{engine="0"} 8.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0
"""


def test_a_page_is_read_as_a_picker_reads_it() -> None:
    assert picker.signals(PAGE) == picker.Signals(waiting=3, running=8, kv_cache=0.25, block_size=16, blocks=100)
    with pytest.raises(ValueError, match="kv_cache_usage_perc has 0 series"):
        picker.signals(re.sub("vllm:kv_cache.*\n", "", PAGE))
    with pytest.raises(ValueError, match="num_requests_running has 2 series"):
        picker.signals(PAGE + 'vllm:num_requests_running{engine="1"} 0.0\n')


def test_the_picker_finds_its_figures_in_our_page(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the port that serves, without a key, and with the stream that is running in it."""
    monkeypatch.setattr(picker, "PATIENCE", 60.0)  # a busy machine is no fault
    with httpx.stream("POST", f"{server.url}/chat/completions", json=talk(), timeout=600) as answer:
        lines = answer.iter_lines()
        assert '"role":"assistant"' in next(lines), answer.status_code
        assert picker.main(["--url", server.root, "--seconds", "3"]) == 0
        assert "data: [DONE]" not in itertools.islice(lines, 100)
    seen = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert seen["failed"] == 0
    assert seen["most_running"] >= 1, seen


def test_the_chart_names_its_pods_as_the_picker_expects_them() -> None:
    """The topic of KV events is parsed for the pod and the model; the port has a name."""
    objects = rendered(file=CHART / "ci/gateway.yaml")
    container = server_container(objects)
    value = next(each["value"] for each in container["env"] if each["name"] == "ELECTRON__ENGINE__KV_EVENTS_CONFIG")
    assert '"topic": "kv@$(POD_IP):8000@electron"' in value and '"endpoint": "tcp://*:5557"' in value
    assert {port["name"]: port["containerPort"] for port in container["ports"]}["kv-events"] == 5557
    assert one(objects, "InferencePool")["spec"]["targetPorts"] == [{"number": 8000}]


def test_the_picker_may_read_metrics_and_events_and_callers_only_call() -> None:
    policy = one(rendered(file=CHART / "ci/gateway.yaml"), "NetworkPolicy")["spec"]["ingress"]
    clients, routers = ({port["port"] for port in rule["ports"]} for rule in policy)
    assert (clients, routers) == ({"http"}, {"http", "kv-events"})


def test_the_route_is_the_one_that_envoy_is_tested_with() -> None:
    (rule,) = one(rendered(file=CHART / "ci/gateway.yaml"), "HTTPRoute")["spec"]["rules"]
    assert {name: rule[name] for name in rule if name != "backendRefs"} == RULE
