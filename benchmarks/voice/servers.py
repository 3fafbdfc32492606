"""Our server and `vllm serve`, started on the same model with the same engine arguments."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.voice.environment import ROOT
from server.nano import model_path
from server.settings import Settings, load_settings
from server.settings.environment import ENGINE_ENVIRONMENT

OURS = "electron-server"
THEIRS = "vllm serve"
START = 1800.0  # seconds; an 8B model is compiled on its first start
# What a voice agent needs of `vllm serve`, and what ours does not spend time on either.
VLLM = {
    "enable-auto-tool-choice": True,
    "tool-call-parser": "hermes",
    "enable-prompt-tokens-details": True,
    "disable-uvicorn-access-log": True,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """pid: of the process that speaks HTTP, where it is one of ours."""

    name: str
    url: str
    pid: int | None = None

    def processor_time(self) -> float | None:
        """Seconds so far; of that process, not of its engine's."""
        if self.pid is None:
            return None
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


def settings_of(config: Path, assignments: list[str]) -> Settings:
    return load_settings(config, environment={}, assignments=assignments)


@contextlib.contextmanager
def ours(config: Path, assignments: list[str], port: int, folder: Path) -> Iterator[Endpoint]:
    command = [sys.executable, "-m", "server", "serve", "--config", str(config), "--host", "127.0.0.1"]
    command += ["--port", str(port)]
    # Without keys: `vllm serve` has no accounts, so neither has ours. Everything else stays on, the ledger included.
    assignments = ["admission.keys_file=null", f"telemetry.ledger.directory={folder}", *assignments]
    for assignment in assignments:
        command += ["--set", assignment]
    with _running(command, folder / "ours.log", f"http://127.0.0.1:{port}/readyz") as pid:
        yield Endpoint(OURS, f"http://127.0.0.1:{port}/v1", pid)


@contextlib.contextmanager
def theirs(settings: Settings, port: int, folder: Path) -> Iterator[Endpoint]:
    file = folder / "vllm.yaml"
    file.write_text(yaml.safe_dump(vllm_options(settings)))
    model = settings.model.path or str(model_path())
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model, "--config", str(file)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with _running(command, folder / "vllm.log", f"http://127.0.0.1:{port}/health") as pid:
        yield Endpoint(THEIRS, f"http://127.0.0.1:{port}/v1", pid)


def vllm_options(settings: Settings) -> dict[str, Any]:
    """The file for `vllm serve --config` that says the same."""
    model = settings.model
    options: dict[str, Any] = {
        "served-model-name": list(model.served_names),
        "max-model-len": model.context_window,
        **{name.replace("_", "-"): value for name, value in settings.engine.items()},
        **VLLM,
    }
    if model.revision:
        options["revision"] = model.revision
    if model.template_kwargs:
        options["default-chat-template-kwargs"] = dict(model.template_kwargs)
    return options


@contextlib.contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**ENGINE_ENVIRONMENT, **os.environ},
        )
    try:
        _wait(process, ready, log)
        yield process.pid
    finally:
        _stop(process)


def _wait(process: "subprocess.Popen[bytes]", ready: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(ready, timeout=10).status_code == 200:
                return
        time.sleep(0.5)
    raise RuntimeError(f"not ready: {' '.join(process.args)}\n{log.read_text()[-3000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="voice-") as folder:
        yield Path(folder)
