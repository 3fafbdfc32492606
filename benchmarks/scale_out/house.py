"""Two servers that share their limits in Redis, behind Envoy."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from benchmarks.scale_out.envoy import Envoy
from tests.accounts.fleet import Replica
from tests.admission.conftest import Office, RedisServer
from tests.lifecycle.processes import until

PER_MINUTE, AT_ONCE = 60, 6
PLANS = {
    "minute": {"requests_per_minute": PER_MINUTE, "concurrency": 1000},
    "line": {"concurrency": AT_ONCE},
    "open": {"concurrency": 1000},
}
CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class House:
    """servers: by name. client: to the proxy."""

    servers: dict[str, Replica]
    office: Office
    client: httpx.AsyncClient

    async def account(self, name: str, plan: str) -> dict[str, str]:
        """Headers of a new account, once both servers know it."""
        headers = {"Authorization": f"Bearer {self.office.create(name, plan)}"}

        async def known(server: Replica) -> bool:
            return (await self.client.post(f"{server.root}{CHAT}", json={}, headers=headers)).status_code == 400

        for server in self.servers.values():
            await until(partial(known, server))
        return headers

    async def series(self, name: str, **labels: str) -> dict[str, int]:
        """What each server says of it."""
        return {
            each: int(await asyncio.to_thread(server.series, name, **labels)) for each, server in self.servers.items()
        }


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        redis = RedisServer()
        redis.start()
        stack.callback(redis.stop)
        office = Office(folder / "keys.yaml", tuple(PLANS))
        office.create("nobody", "open")
        settings = (
            f"admission.keys_file={office.path}",
            "admission.keys_poll=0.05",
            f"admission.plans={json.dumps(PLANS)}",
            f"admission.redis={json.dumps({'url': redis.url, 'timeout': 5.0})}",
            "telemetry.metrics.account_label=true",
            "lifecycle.drain_pause=0",
        )
        servers = {}
        for name in ("a", "b"):
            (folder / name).mkdir()
            servers[name] = stack.enter_context(Replica(folder / name / "log.txt", *settings))
        for server in servers.values():
            await asyncio.to_thread(server.wait_until_ready)
        proxy = Envoy(folder, [server.port for server in servers.values()])
        stack.callback(proxy.stop)
        limits = httpx.Limits(max_connections=None)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=proxy.root, timeout=600, limits=limits))
        await until(proxy.sees_all)
        yield House(servers, office, client)
        for server in servers.values():
            await asyncio.to_thread(server.stop)
