"""A rolling restart of two servers behind HAProxy, under load: what do callers see?

python -m benchmarks.rolling
"""

import argparse
import asyncio
import csv
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from benchmarks.callers import Body, Callers, body, outcomes
from tests.conftest import Server, free_port
from tests.lifecycle.processes import until

CONFIGURATION = Path(__file__).parent.parent / "configs" / "haproxy.cfg"
NAMES = ("one", "two")  # of the servers, in there
DRAINED = ("lifecycle.drain_timeout=5",)
PADDING = "x" * 100_000  # beyond what the proxy keeps of a request unless told to


class Proxy:
    """HAProxy in front of two servers, configured as the README says."""

    def __init__(self, log: Path, ports: Sequence[int]) -> None:
        port, self._state = free_port(), f"http://127.0.0.1:{free_port()}"
        self.url = f"http://127.0.0.1:{port}"
        places = {name.upper(): f"127.0.0.1:{number}" for name, number in zip(NAMES, ports, strict=True)}
        places |= {"CALLS": f"127.0.0.1:{port}", "STATE": self._state.removeprefix("http://")}
        command = ["haproxy", "-f", str(CONFIGURATION)]
        with log.open("w") as output:
            self.process = subprocess.Popen(command, env=os.environ | places, stdout=output, stderr=output)

    async def sees(self, name: str) -> bool:
        """Whether that server gets calls."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{self._state}/;csv")
            except httpx.TransportError:  # the proxy itself is not up yet
                return False
        rows = csv.DictReader(answer.text.removeprefix("# ").splitlines())
        return any(row["svname"] == name and row["status"] == "UP" for row in rows)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def streamed(number: int) -> Body:
    """Every fourth outlives the drain deadline."""
    return body(number, stream=True, ignore_eos=True, max_tokens=1000 if number % 4 == 0 else 40)


def whole(number: int) -> Body:
    """Every fourth is a long one."""
    return body(number, max_tokens=16, metadata={"note": PADDING if number % 4 == 0 else ""})


async def restart(server: Server, log: Path, proxy: Proxy, name: str) -> Server:
    """Another one at the same address. Returns when it gets calls: until then nobody may touch the other."""
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, 60) == 0
    again = Server(log, *DRAINED, port=server.port)
    await asyncio.to_thread(again.wait_until_ready)
    await until(lambda: proxy.sees(name))
    return again


async def rolling(folder: Path, at_once: int = 3, fellow: Server | None = None) -> tuple[Counter[str], Counter[str]]:
    """Outcomes of streamed and of whole calls, while one server after the other is restarted.

    fellow: takes the place of the second, and is left alone.
    """
    logs = [folder / name / "log.txt" for name in (NAMES[:1] if fellow else NAMES)]
    servers: list[Server] = []
    with ExitStack() as stack:
        stack.callback(lambda: [server.stop() for server in servers])
        for log in logs:
            log.parent.mkdir()
            servers.append(Server(log, *DRAINED))
            await asyncio.to_thread(servers[-1].wait_until_ready)
        proxy = Proxy(folder / "proxy.txt", [server.port for server in (*servers, fellow) if server])
        stack.callback(proxy.stop)
        for name in NAMES:
            await until(partial(proxy.sees, name))
        async with httpx.AsyncClient(base_url=proxy.url, timeout=600) as client:
            groups = [Callers(client, at_once, streamed), Callers(client, at_once, whole)]
            calling = [asyncio.create_task(group.run()) for group in groups]
            for number, log in enumerate(logs):
                servers[number] = await restart(servers[number], log, proxy, NAMES[number])
            for group in groups:
                group.stop.set()
            await asyncio.gather(*calling)
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
