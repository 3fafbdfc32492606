"""A clock that is turned by hand, and a PostgreSQL of one's own."""

import os
import pwd
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.records import UsageRecord

POSTGRES_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian keeps its servers off the path

MakeRecord = Callable[..., UsageRecord]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Postgres:
    """A server of its own, in a folder of its own, run by a user who may run it."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "log.txt"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "electron", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://electron@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [str(POSTGRES_BIN / program), *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    folder = Path("/tmp") / f"electron-postgres-{uuid.uuid4().hex}"  # where another user may go, too
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def emptied(server: Postgres) -> str:
    """The URL of a server without our table."""
    command = ["psql", server.url, "-q", "-c", "drop table if exists electron_usage"]
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PGOPTIONS": "-c client_min_messages=error"}
    )
    return server.url
