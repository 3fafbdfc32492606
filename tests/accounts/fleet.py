"""Two real servers as replicas of one: one key file, one Redis; one ledger in SQLite, the other in PostgreSQL."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.admission.conftest import Office, RedisServer
from tests.conftest import Server
from tests.telemetry.helpers import Postgres, postgres_server

PATIENCE = 60.0  # seconds that something that must come may take
LEASE = 8.0  # seconds: longer than a busy machine keeps a server from renewing them
PLANS = {
    "voice": {"requests_per_minute": 160, "concurrency": 3},  # even if no cancelled request were given back
    "line": {"concurrency": 3},
    "bulk": {"requests_per_minute": 100_000, "concurrency": 1000},
    "elsewhere": {"models": ["another"]},
}
HOUSE_PROMPT = (
    "You answer the telephone of a small hotel by the sea. Be friendly and brief, and answer in one sentence. "
    "Rooms are free from Monday on, breakfast is served from seven to ten, and dogs are welcome. "
    "Never promise a discount, and never take the number of a card: the front desk does that on arrival. "
    "Guests may leave their luggage with us before they check in and after they check out."
)


class Replica(Server):
    """A server whose figures can be read."""

    def series(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels."""
        page = httpx.get(f"{self.root}/metrics", timeout=PATIENCE).text
        samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
        return sum(
            sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def wait_for(self, name: str, value: float, **labels: str) -> None:
        until(lambda: self.series(name, **labels) == value)

    def kill(self) -> None:
        """As when its machine fails: the engine's process goes with it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


class Fleet:
    """Both servers, what they share, and the accounts that may use them."""

    def __init__(self, folder: Path, redis: RedisServer, postgres: Postgres) -> None:
        self.redis = redis
        self.postgres = postgres
        self.office = Office(folder / "keys.yaml", ("standard", "enterprise", *PLANS))
        self.office.create("nobody")
        self.ledgers = {"a": "", "b": postgres.url}
        shared = (
            f"admission.keys_file={self.office.path}",
            "admission.keys_poll=0.05",
            f"admission.plans={json.dumps(PLANS)}",
            f"admission.shared_prompts={json.dumps([HOUSE_PROMPT])}",
            f"admission.redis={json.dumps({'url': redis.url, 'timeout': 5.0, 'lease': LEASE})}",
            "telemetry.metrics.account_label=true",
            "telemetry.metrics.page_age=0",
            "lifecycle.drain_pause=0",
        )
        self.folder = folder
        self.a = self._replica("a", *shared, "telemetry.log_format=json")
        self.b = self._replica(
            "b",
            *shared,
            "admission.redis.on_failure=closed",
            f"telemetry.ledger.url={postgres.url}",
            "telemetry.log_level=DEBUG",
        )

    @property
    def both(self) -> tuple[Replica, Replica]:
        return self.a, self.b

    def account(self, name: str, plan: str = "standard") -> str:
        """The key of a new account, once both servers know it."""
        key = self.office.create(name, plan)
        for replica in self.both:
            until(lambda replica=replica: status(replica, key) == 400)
        return key

    def _replica(self, name: str, *settings: str) -> Replica:
        folder = self.folder / name
        folder.mkdir()
        return Replica(folder / "log.txt", *settings)


def status(replica: Replica, key: str) -> int:
    """Of a request that says nothing: 400 for whom the server knows."""
    bearer = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{replica.url}/chat/completions", json={}, headers=bearer, timeout=PATIENCE).status_code


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@contextmanager
def running_fleet(folder: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        redis = RedisServer()
        redis.start()
        stack.callback(redis.stop)
        fleet = Fleet(folder, redis, stack.enter_context(postgres_server()))
        for replica in fleet.both:
            stack.callback(replica.stop)
        for replica in fleet.both:
            replica.wait_until_ready()
        yield fleet
