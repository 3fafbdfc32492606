"""What a server stands on, so that it can be taken away: its disk, its clock, its database, the store of its limits."""

import asyncio
import json
import os
import struct
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import asyncpg

from tests.admission.conftest import Office, RedisServer
from tests.conftest import Server
from tests.telemetry.helpers import Postgres

DISK = "2m"  # room for the ledger, or its journal, and for the log
ON_A_DISK = f'mount -t tmpfs -o size={DISK} none "$0" && exec "$@" >>"$0/log.txt" 2>&1'
CLOCK = Path(__file__).parent / "clock"
PLANS = '{"line": {"concurrency": 1000, "requests_per_minute": 1000000}}'
READ = "import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))"
QUERY = "SELECT cause, count(*) FROM electron_usage GROUP BY cause"


class Surroundings:
    """A server with a key, a store for its limits, and a small disk of its own for its log and its ledger.

    postgres: keeps the ledger; without it SQLite does, on that disk.
    """

    def __init__(self, folder: Path, redis: RedisServer, postgres: Postgres | None) -> None:
        self.redis = redis
        self.postgres = postgres
        self._folder = folder / "disk"
        self._folder.mkdir()
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("q", 0))
        office = Office(folder / "keys.yaml", ("line",))
        office.create("acme", "line")
        self.headers = {"Authorization": office.bearer("acme")}
        settings = [
            f"telemetry.ledger.directory={self._folder}",
            f"admission.keys_file={office.path}",
            f"admission.plans={PLANS}",
            f"admission.redis.url={redis.url}",
            "admission.redis.timeout=1",
            "lifecycle.drain_pause=0",
        ]
        settings += [f"telemetry.ledger.url={postgres.url}"] if postgres else []
        self.server = Server(folder / "log.txt", *settings, wrapper=self._wrapper())

    def _wrapper(self) -> tuple[str, ...]:
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        clock = ("env", f"WALL_CLOCK={self._clock}", f"PYTHONPATH={CLOCK}")
        return (*clock, "unshare", *user, "--mount", "sh", "-c", ON_A_DISK, str(self._folder))

    @property
    def disk(self) -> Path:
        """Others see it through the server's eyes alone."""
        return Path(f"/proc/{self.server.process.pid}/root{self._folder}")

    def _inside(self, program: str, *arguments: str) -> bytes:
        """What a Python program prints that sees the server's mounts: SQLite would follow `disk` out of them."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        where = ("nsenter", "--target", str(self.server.process.pid), *user, "--mount")
        database = str(self._folder / "usage.db")
        return subprocess.run(
            [*where, sys.executable, "-c", program, database, *arguments], check=True, capture_output=True
        ).stdout

    def fill_disk(self) -> None:
        with (self.disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free_disk(self) -> None:
        (self.disk / "ballast").unlink()

    def set_clock(self, offset: int) -> None:
        """Seconds from the true time. Written over, not anew: an empty file would have no time in it."""
        with self._clock.open("r+b", buffering=0) as file:
            file.write(struct.pack("q", offset))

    async def causes(self) -> Counter[str]:
        """How the requests in the ledger ended. The server must still run."""
        if self.postgres is None:
            return Counter(dict(json.loads(await asyncio.to_thread(self._inside, READ, QUERY))))
        connection = await asyncpg.connect(self.postgres.url)
        try:
            return Counter({cause: count for cause, count in await connection.fetch(QUERY)})
        finally:
            await connection.close()
