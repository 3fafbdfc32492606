"""A clock that is set by hand, a key file, and a real Redis."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import pytest
import redis

from server.admission import shared
from server.admission.commands import create_key
from server.admission.shared import SharedStore
from server.admission.store import MemoryStore
from server.settings import AdmissionSettings, RedisSettings

START = 1_700_000_000.0  # seconds since the epoch: where rounding of Redis's times would show


class Clock:
    """Seconds; stands still unless moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class RedisServer:
    """redis-server on a port of its own, keeping nothing."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            for _ in range(200):
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    time.sleep(0.05)
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        """As when its machine fails: what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def names(self) -> list[str]:
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return sorted(client.keys())


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(redis_process: RedisServer) -> RedisServer:
    """Running and empty."""
    if redis_process.process is None:
        redis_process.start()
    with redis.Redis(port=redis_process.port) as client:
        client.flushall()
    return redis_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Replicas:
    """Stores of several replicas on one Redis. Its answers may take long here: the machine is shared."""

    def __init__(self, server: RedisServer, clock: Clock) -> None:
        self.server = server
        self.clock = clock
        self.made: list[SharedStore] = []

    def settings(self, **options: object) -> RedisSettings:
        return RedisSettings.model_validate({"url": self.server.url, "timeout": 5.0, "pause": 0.02, **options})

    def store(self, *, own_clock: bool = True, started: bool = True, **options: object) -> SharedStore:
        clock = self.clock if own_clock else None
        store = SharedStore(self.settings(**options), MemoryStore(self.clock), clock)
        if started:
            store.start()
        self.made.append(store)
        return store


@pytest.fixture
async def replicas(redis_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replicas]:
    monkeypatch.setattr(shared, "PATIENCE", 5.0)
    made = Replicas(redis_server, clock)
    yield made
    await asyncio.gather(*(store.close() for store in made.made))


class Office:
    """A key file and the keys that were made for it, by account."""

    def __init__(self, path: Path, plans: Collection[str] = ("standard", "enterprise", "small")) -> None:
        self.path = path
        self.plans = plans
        self.keys: dict[str, str] = {}

    def create(self, account: str, plan: str = "standard", **options: object) -> str:
        key, _ = create_key(self.path, account=account, plan=plan, plans=self.plans, **options)  # type: ignore[arg-type]
        self.keys[account] = key
        return key

    def bearer(self, account: str) -> str:
        return f"Bearer {self.keys[account]}"

    def settings(self, **options: object) -> AdmissionSettings:
        return AdmissionSettings.model_validate({"keys_file": self.path, "grace": 0, "keys_poll": 0.01, **options})


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path / "keys.yaml")
    office.create("acme")
    return office
