"""Two processes over one engine are one server: for callers, for limits, for who reads metrics and bills."""

import asyncio
import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.callers import COMPLETE, body, call, outcomes, talk
from tests.admission.conftest import Office, RedisServer
from tests.conftest import Server
from tests.lifecycle.processes import LIMIT, causes, engine_core, family, gauge, served_by, survivors, until, wait_for

PLANS = {"line": {"concurrency": 3}, "minute": {"requests_per_minute": 4}, "bulk": {}}
PATIENCE = 120.0  # seconds, on whatever machine
CALLERS = 6

Series = dict[tuple[str, str], float]  # by name and labels


def api_processes(server: Server) -> list[psutil.Process]:
    """The first one, then the other."""
    first = served_by(server)
    return [first, *(child for child in first.children() if "spawn_main" in " ".join(child.cmdline()))]


class Line:
    """A connection, and so one of the processes."""

    def __init__(self, server: Server, key: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self.get("/livez")
        port = self.connection.sock.getsockname()[1]
        (self.pid,) = (
            process.pid
            for process in api_processes(server)
            if any(end.raddr and end.raddr.port == port for end in process.net_connections())
        )

    def get(self, path: str) -> bytes:
        self.connection.request("GET", path, headers=self._headers)
        return self.connection.getresponse().read()

    def post(self, **options: object) -> Any:
        """The response, whose body has not been read."""
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body(**options)), self._headers)
        return self.connection.getresponse()

    def ask(self, **options: object) -> dict[str, Any]:
        response = self.post(**options)
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return answer

    def series(self) -> Series:
        """All of `/metrics`, each series once."""
        page = text_string_to_metric_families(self.get("/metrics").decode())
        samples = [sample for family in page for sample in family.samples]
        found = {(sample.name, str(sorted(sample.labels.items()))): sample.value for sample in samples}
        assert len(found) == len(samples)
        return found


class Two:
    """The server, and who may call it."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.folder = folder
        self.office = Office(folder / "keys.yaml", tuple(PLANS))
        for plan in PLANS:
            self.office.create(plan, plan)
        self.server = Server(
            folder / "log.txt",
            "http.processes=2",
            f"admission.keys_file={self.office.path}",
            f"admission.plans={json.dumps(PLANS)}",
            f"admission.redis={json.dumps({'url': redis.url, 'timeout': 5.0})}",
            "telemetry.metrics.page_age=0",
            "lifecycle.drain_pause=0.2",
            "lifecycle.drain_timeout=3",
        )

    def lines(self, account: str, stack: ExitStack) -> tuple[Line, Line]:
        """One to each process: whoever has fewer connections takes the next."""
        found: dict[int, Line] = {}
        while len(found) < 2:
            line = Line(self.server, self.office.keys[account])
            stack.callback(line.connection.close)
            found.setdefault(line.pid, line)
        first, other = (found[process.pid] for process in api_processes(self.server))
        return first, other


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    redis = RedisServer()
    redis.start()
    try:
        two = Two(tmp_path_factory.mktemp("several"), redis)
        with two.server:
            two.server.wait_until_ready()
            yield two
    finally:
        redis.stop()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_both_say_the_same_and_what_one_has_read_the_other_need_not(two: Two, stack: ExitStack) -> None:
    first, other = two.lines("bulk", stack)
    options = {"words": 60, "temperature": 0, "max_tokens": 12, "ignore_eos": True}
    answer, again = first.ask(**options), other.ask(**options)
    assert answer["choices"] == again["choices"]
    read = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert read > answer["usage"]["prompt_tokens"] - 32 > answer["usage"]["prompt_tokens_details"]["cached_tokens"]
    for line in (first, other):
        *events, end = line.post(stream=True, **options).read().decode().strip().split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: ")]
        said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
        assert (said, end) == (answer["choices"][0]["message"]["content"], "data: [DONE]")
    assert first.get("/v1/models") == other.get("/v1/models")


def test_an_account_has_its_limits_once(two: Two, stack: ExitStack) -> None:
    minute = two.lines("minute", stack)
    for turn in range(4):
        minute[turn % 2].ask(max_tokens=1)
    for line in minute:
        refused = line.post(max_tokens=1)
        assert (refused.status, b"4 requests per minute" in refused.read()) == (429, True)
    held = [line for _ in range(2) for line in two.lines("line", stack)][:3]
    for line in held:
        line.post(stream=True, max_tokens=5000, ignore_eos=True).readline()
    for line in two.lines("line", stack):
        refused = line.post(max_tokens=1)
        assert (refused.status, b"Concurrency limit reached" in refused.read()) == (429, True)


def test_the_page_has_the_calls_of_both(two: Two, stack: ExitStack) -> None:
    first, other = two.lines("bulk", stack)
    wait_for(lambda: _calls(first.series()) == 0)  # of the test before...
    for line in (first, other):
        line.ask(max_tokens=1)  # ...and all that was to be counted of it is
    before = first.series()
    for line in (first, first, other):
        line.ask(max_tokens=3, ignore_eos=True)
    after = first.series()
    names = ("electron_requests_total", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_count")

    def grown(name: str) -> float:
        return sum(value - before.get(key, 0.0) for key, value in after.items() if key[0] == name)

    assert [grown(name) for name in names] == [3, 9, 3]
    for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
        assert len([key for key in after if key[0] == name]) == 1
    assert after["electron_ready", "[]"] == 1
    counted = {key: value for key, value in other.series().items() if key[0].startswith(("electron_req", "vllm:gen"))}
    assert counted == {key: after[key] for key in counted}


async def test_sigterm_under_load(two: Two) -> None:
    """The last test of the server: calls of both are recorded however they end, and nobody is left."""
    headers = {"Authorization": two.office.bearer("bulk")}
    processes = family(two.server)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=two.server.root, timeout=PATIENCE, limits=limits) as client:
        short = [
            asyncio.create_task(call(client, body(number, max_tokens=2, ignore_eos=True), headers))
            for number in range(CALLERS)
        ]
        assert outcomes(await asyncio.gather(*short)) == {COMPLETE: CALLERS}
        running = [asyncio.create_task(call(client, talk(number), headers)) for number in range(CALLERS)]
        await until(lambda: _at_work(client, CALLERS))
        assert all(_serves(process, two.server.port) for process in api_processes(two.server))
        served_by(two.server).send_signal(signal.SIGTERM)
        ends = outcomes(await asyncio.gather(*running))
    assert ends == {"error event service_unavailable": CALLERS}
    assert await asyncio.to_thread(two.server.process.wait, LIMIT) == 0
    assert survivors(processes) == []
    with sqlite3.connect(two.folder / "usage.db") as database:
        rows = database.execute("SELECT account, cause FROM electron_usage").fetchall()
    counts = Counter(rows)
    # Of the page's test and the first one, and the short ones here, which end by length; then those of the drain.
    assert (counts["bulk", "length"], counts["bulk", "drain"]) == (4 + 5 + CALLERS, CALLERS)
    assert sum(count for (account, _), count in counts.items() if account == "minute") == 4
    assert counts["line", "disconnect"] == 3


def _calls(series: Series) -> float:
    names = ("electron_requests_in_flight", "vllm:num_requests_running")
    return sum(value for (name, _), value in series.items() if name in names)


async def _at_work(client: httpx.AsyncClient, calls: int) -> bool:
    return await gauge(client, "vllm:num_requests_running") == calls


def _serves(process: psutil.Process, port: int) -> bool:
    return any(end.status == psutil.CONN_ESTABLISHED and end.laddr.port == port for end in process.net_connections())


@pytest.mark.parametrize("victim", ["engine", "other", "first"])
async def test_what_is_killed_takes_all_along(victim: str, tmp_path: Path) -> None:
    """Callers hear an error where somebody is left to say it; whoever starts servers hears of it by the status."""
    with Server(tmp_path / "log.txt", "http.processes=2") as server:
        await asyncio.to_thread(server.wait_until_ready)
        first, other = api_processes(server)
        processes = [first, *family(server)]
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.root, timeout=PATIENCE, limits=limits) as client:
            running = [asyncio.create_task(call(client, talk(number))) for number in range(CALLERS)]
            await until(lambda: _at_work(client, CALLERS))
            {"engine": engine_core(server), "other": other, "first": first}[victim].kill()
            ends = outcomes(await asyncio.gather(*running))
        status = await asyncio.to_thread(server.process.wait, LIMIT)
        assert survivors(processes) == []
    told, cut = ends["error event upstream_error"], ends["RemoteProtocolError"] + ends["ReadError"]
    assert told + cut == CALLERS
    assert {"engine": cut == 0, "other": told > 0 and cut > 0, "first": told == 0}[victim]
    assert status == (-signal.SIGKILL if victim == "first" else 1)
    if victim == "engine":
        assert causes(tmp_path) == {"error": CALLERS}
