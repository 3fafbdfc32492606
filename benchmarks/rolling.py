"""A rolling restart of two servers behind HAProxy, under load: what do callers see?

python -m benchmarks.rolling
"""

import argparse
import asyncio
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.callers import Body, Callers, body, outcomes
from tests.conftest import Server, free_port
from tests.lifecycle.processes import until

# What a gateway in front of replicas needs: their readiness asked often, and one more try elsewhere for what a replica
# that goes down has not begun to answer.
CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout check 10s
    timeout client 600s
    timeout server 600s
    retries 5
    retry-on conn-failure empty-response 503
    option redispatch 1
frontend calls
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    balance leastconn
    option httpchk GET /readyz
    default-server check inter 250ms fall 1 rise 1
"""
DRAINED = ("lifecycle.drain_pause=1", "lifecycle.drain_timeout=5")


class Proxy:
    """HAProxy in front of servers."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        file = folder / "haproxy.cfg"
        lines = [f"    server s{port} 127.0.0.1:{port}\n" for port in ports]
        file.write_text(CONFIGURATION.format(port=self.port) + "".join(lines))
        self.process = subprocess.Popen(["haproxy", "-f", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def streamed(number: int) -> Body:
    """Every fourth outlives the drain deadline."""
    return body(number, stream=True, ignore_eos=True, max_tokens=3000 if number % 4 == 0 else 40)


def whole(number: int) -> Body:
    return body(number, max_tokens=16)


async def restart(server: Server, folder: Path) -> Server:
    """Another one at the same address. Returns when it is ready."""
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, 60) == 0
    again = Server(folder / "log.txt", *DRAINED, port=server.port)
    await asyncio.to_thread(again.wait_until_ready)
    return again


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:  # the proxy itself is not up yet
        return False


async def rolling(folder: Path, at_once: int = 3) -> tuple[Counter[str], Counter[str]]:
    """Outcomes of streamed and of whole calls, while one server after the other is restarted."""
    folders = [folder / name for name in ("a", "b")]
    servers = []
    for one in folders:
        one.mkdir()
        servers.append(Server(one / "log.txt", *DRAINED))
        await asyncio.to_thread(servers[-1].wait_until_ready)
    proxy = Proxy(folder, [server.port for server in servers])
    try:
        async with httpx.AsyncClient(base_url=proxy.url, timeout=600) as client:
            await until(lambda: _ready(client))
            groups = [Callers(client, at_once, streamed), Callers(client, at_once, whole)]
            calling = [asyncio.create_task(group.run()) for group in groups]
            for number, one in enumerate(folders):
                servers[number] = await restart(servers[number], one)
            for group in groups:
                group.stop.set()
            await asyncio.gather(*calling)
    finally:
        proxy.stop()
        for server in servers:
            server.stop()
    return outcomes(groups[0].calls), outcomes(groups[1].calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=3, help="callers of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = asyncio.run(rolling(Path(folder), options.at_once))
    for kind, found in zip(("streamed", "whole"), kinds, strict=True):
        print(f"{kind}: " + ", ".join(f"{number} x {outcome}" for outcome, number in found.most_common()))


if __name__ == "__main__":
    main()
