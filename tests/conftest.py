"""One real server for the whole session: the real engine on the embedded model, in its own process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Self

import httpx
import openai
import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
settings.register_profile("house", deadline=None)  # a busy machine is no fault
settings.load_profile("house")
START_TIMEOUT = 300.0  # seconds; loading takes about 20 on two cores


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`electron-server serve` on a port, a free one unless said. wrapper: a command that runs it."""

    def __init__(self, log: Path, *settings: str, wrapper: Sequence[str] = (), port: int | None = None) -> None:
        self.port = port or free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self.log = log
        command = [*wrapper, sys.executable, "-m", "server", "serve", "--config", "configs/nano.yaml"]
        command += ["--port", str(self.port)]
        for setting in (f"telemetry.ledger.directory={log.parent}", *settings):
            command += ["--set", setting]
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever a test came to: nothing is left running."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.root}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"the server did not become ready:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> int:
        """Exit status after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # A prompt as long as the window is read in minutes on a busy machine.
    running = Server(tmp_path_factory.mktemp("server") / "log.txt", "http.first_token_timeout=900")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """A bare client, for what the SDK would not send."""
    with httpx.Client(base_url=server.root, timeout=600) as client:
        yield client


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The OpenAI SDK with nothing changed but the address and the key."""
    with openai.OpenAI(base_url=server.url, api_key="sk_test", max_retries=0, timeout=600) as client:
        yield client


@pytest.fixture(scope="session")
async def async_client(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    limits = httpx.Limits(max_connections=None)
    async with openai.AsyncOpenAI(
        base_url=server.url,
        api_key="sk_test",
        max_retries=0,
        timeout=600,
        http_client=httpx.AsyncClient(limits=limits, timeout=600),
    ) as client:
        yield client
