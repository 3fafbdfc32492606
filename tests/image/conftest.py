"""The image, built by buildah without a container engine, and started by bubblewrap as a container would be."""

import json
import os.path
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import vllm

from tests.conftest import ROOT, free_port
from tests.lifecycle.processes import wait_for

SITE = Path(vllm.__file__).parents[1]  # what the tests run with: mounted, not copied
OUT = ROOT / "build/image"
WRITABLE = ("/tmp", "/cache", "/models", "/var/lib/electron")
USER = 10001


@dataclass(frozen=True, slots=True)
class Image:
    """root: its files. config: what a container engine would be told."""

    root: Path
    config: dict[str, Any]

    def command(self, *command: str, **environment: str) -> list[str]:
        """In a sandbox: not root, nothing to write on but what is mounted, no capability, no other process in sight."""
        words = ["bwrap", "--ro-bind", str(self.root), "/", "--ro-bind", str(SITE), "/opt/site"]
        words += ["--proc", "/proc", "--dev", "/dev", *(word for path in WRITABLE for word in ("--tmpfs", path))]
        words += ["--unshare-user", "--uid", str(USER), "--gid", "0", "--unshare-pid", "--as-pid-1"]
        words += ["--die-with-parent", "--clearenv", "--chdir", self.config["WorkingDir"]]
        for name, value in (dict(each.split("=", 1) for each in self.config["Env"]) | environment).items():
            words += ["--setenv", name, value]
        return [*words, "--", *command]

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(*command), capture_output=True, text=True, timeout=300)


def build(target: str) -> Image:
    script = str(ROOT / "tests/image/build.sh")
    subprocess.run(["nice", script, target, str(OUT), str(SITE)], check=True, timeout=1200)  # beside other tests
    return Image(OUT / target / "root", json.loads((OUT / target / "config.json").read_text()))


@pytest.fixture(scope="session")
def image() -> Image:
    """With the embedded model, for a machine without a GPU."""
    return build("cpu")


@pytest.fixture(scope="session")
def cuda() -> Image:
    """For a node with a GPU. Nothing here can run its engine."""
    return build("cuda")


class Container:
    """The image's own command on a port of its own, as PID 1 of its sandbox."""

    def __init__(self, image: Image, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = image.config
        command = [*config["Entrypoint"], *config["Cmd"], "--port", str(self.port)]
        with log.open("w") as output:
            words = image.command(*command, **environment)
            self.process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
        self._log = log

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self._log.read_text()[-4000:]
            try:
                return httpx.get(f"{self.url}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(ready)

    @property
    def init(self) -> psutil.Process:
        """PID 1 of the sandbox, as it is called outside."""
        (first,) = psutil.Process(self.process.pid).children()
        return first

    def stop(self) -> None:
        """The sandbox goes with it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def container(image: Image, tmp_path: Path) -> Iterator[Container]:
    short = {"ELECTRON__LIFECYCLE__DRAIN_PAUSE": "1", "ELECTRON__LIFECYCLE__DRAIN_TIMEOUT": "30"}
    container = Container(image, tmp_path / "log.txt", **short)
    try:
        container.wait_until_ready()
        yield container
    finally:
        container.stop()


def has(image: Image, *programs: str) -> Sequence[str]:
    """Which of these programs are in the image."""
    folders = [path for path in dict(each.split("=", 1) for each in image.config["Env"])["PATH"].split(":") if path]
    return [name for name in programs if any(os.path.lexists(f"{image.root}{path}/{name}") for path in folders)]
