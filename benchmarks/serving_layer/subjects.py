"""Whoever is measured: our server, with two processes too, vLLM's two, and the engine without HTTP."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
import psutil
import yaml

from benchmarks.serving_layer.client import Results
from benchmarks.voice.environment import ROOT
from benchmarks.voice.servers import ours, settings_of, theirs
from server.settings.environment import ENGINE_ENVIRONMENT

Name = Literal["ours", "two", "python", "rust", "alone"]
NAMES: dict[Name, str] = {
    "ours": "electron-server",
    "two": "electron-server, two processes",
    "python": "vllm serve",
    "rust": "vllm serve, Rust front end",
    "alone": "AsyncLLM.generate, no HTTP",
}
OURS: dict[Name, list[str]] = {"ours": [], "two": ["http.processes=2"]}  # settings
RUST = "VLLM_USE_RUST_FRONTEND"
ENGINE = {
    "dtype": "float32",
    "kv_cache_memory_bytes": 1 << 30,
    "max_num_seqs": 256,
    "max_num_batched_tokens": 8192,
    "worker_cls": "benchmarks.serving_layer.null_worker.NullWorker",
}


class Subject(Protocol):
    name: Name

    def run(self, streams: list[list[dict[str, Any]]]) -> tuple[Results, float]:
        """What came of them, and the seconds of processor time that the front end took."""


class Helper:
    """A process that takes jobs line by line."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**ENGINE_ENVIRONMENT, **os.environ},
        )

    def ask(self, job: object) -> Results:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(orjson.dumps(job) + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the load generator failed")
        return Results(**orjson.loads(line))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


class Server:
    """pid: of the process whose tree, without the engine core, is the front end."""

    def __init__(self, name: Name, port: int, pid: int, client: Helper) -> None:
        self.name = name
        self._port = port
        self._process = psutil.Process(pid)
        self._client = client

    def run(self, streams: list[list[dict[str, Any]]]) -> tuple[Results, float]:
        before = self._cpu()
        results = self._client.ask({"port": self._port, "streams": streams})
        return results, self._cpu() - before

    def _cpu(self) -> float:
        """User and system time as the kernel accounts for it, threads that have ended included."""
        return sum(_seconds(process) for process in [self._process, *_without_core(self._process.children())])


class Alone:
    """The engine in a process of its own that asks it directly."""

    name: Name = "alone"

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    def run(self, streams: list[list[dict[str, Any]]]) -> tuple[Results, float]:
        results = self._helper.ask(streams)
        return results, results.cpu


@contextlib.contextmanager
def started(names: list[Name], folder: Path, port: int, assignments: list[str]) -> Iterator[list[Subject]]:
    config = folder / "null.yaml"
    config.write_text(yaml.safe_dump({"engine": ENGINE, "telemetry": {"log_level": "WARNING"}}))
    subjects: list[Subject] = []
    with contextlib.ExitStack() as stack:
        client = Helper("benchmarks.serving_layer.client")
        stack.callback(client.close)
        for number, name in enumerate(names):
            own = folder / name
            own.mkdir()
            if name == "alone":
                helper = Helper("benchmarks.serving_layer.alone")
                stack.callback(helper.close)
                subjects.append(Alone(helper))
                continue
            before = {child.pid for child in psutil.Process().children()}
            stack.enter_context(_server(name, config, port + number, own, assignments))
            (pid,) = {child.pid for child in psutil.Process().children()} - before
            subjects.append(Server(name, port + number, pid, client))
        yield subjects


@contextlib.contextmanager
def _server(name: Name, config: Path, port: int, folder: Path, assignments: list[str]) -> Iterator[None]:
    if name in OURS:
        with ours(config, [*assignments, *OURS[name]], port, folder):
            yield
        return
    os.environ[RUST] = "1" if name == "rust" else "0"
    try:
        with theirs(settings_of(config, []), port, folder):
            yield
    finally:
        os.environ.pop(RUST, None)


def _seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _without_core(children: list[psutil.Process]) -> Iterator[psutil.Process]:
    """The engine core names itself so."""
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "EngineCore" not in " ".join(child.cmdline()):
                yield child
                yield from _without_core(child.children())
