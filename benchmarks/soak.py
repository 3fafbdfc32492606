"""Does anything grow? Mixed voice traffic for a given time, and what is left when it has gone.

electron-server serve --config configs/nano.yaml & python -m benchmarks.soak --pid $! --minutes 30
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import psutil

from benchmarks.callers import Body, at_rest, body, call, talk
from benchmarks.fuzz import CORPUS, PATIENCE, mutated
from tests.lifecycle.processes import gauge

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99}}, "required": ["n"]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
SETTLING = 5.0  # seconds after the last call, before a sample is taken


@dataclass(frozen=True, slots=True)
class Sample:
    """Of the server at rest. minutes: since the start. server, engine: resident MiB of the process, of its children.

    left: gauges that are not at zero, slots and KV blocks among them.
    """

    minutes: float
    calls: int
    server: float
    engine: float
    descriptors: int
    threads: int
    tasks: int
    left: dict[str, float]


async def sample(client: httpx.AsyncClient, process: psutil.Process, minutes: float, calls: int) -> Sample:
    left = await at_rest(client)
    await asyncio.sleep(SETTLING)
    tasks = int(await gauge(client, "electron_event_loop_tasks"))
    children = process.children(recursive=True)
    tree = [process, *children]
    descriptors, threads = sum(one.num_fds() for one in tree), sum(one.num_threads() for one in tree)
    return Sample(minutes, calls, resident(process), resident(*children), descriptors, threads, tasks, left)


def resident(*processes: psutil.Process) -> float:
    """MiB."""
    return sum(one.memory_info().rss for one in processes) / 2**20


def turn(number: int) -> Body:
    """Nobody's prompt twice, after a beginning that all share."""
    kinds: Sequence[Callable[[], Body]] = (
        lambda: body(number, stream=True, max_tokens=24),
        lambda: body(number, stream=True, max_tokens=24, tools=[TOOL]),
        lambda: body(number, max_tokens=16),
        lambda: body(number, max_tokens=24, response_format=_another_schema(number)),
        lambda: body(number, words=400, stream=True, max_tokens=4),
    )
    return kinds[number % len(kinds)]()


def _another_schema(number: int) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": {**SCHEMA, "title": f"schema {number}"}}}


async def one(client: httpx.AsyncClient, number: int, seeds: Sequence[bytes]) -> str:
    """A turn, a caller who hangs up, or a broken body; how it ended."""
    chance = random.Random(number)
    match number % 10:
        case 3 | 7:
            return await _hung_up(client, number, chance.expovariate(1 / 0.2))
        case 5:
            broken = mutated(chance.choice(seeds), chance)
            answer = await client.post("/v1/chat/completions", content=broken, headers=PATIENCE)
            return f"broken body: {answer.status_code}"
        case _:
            return (await call(client, turn(number))).outcome


async def _hung_up(client: httpx.AsyncClient, number: int, patience: float) -> str:
    try:
        async with asyncio.timeout(patience):
            return (await call(client, talk(number, tokens=2000, stream=number % 2 == 0))).outcome
    except TimeoutError:
        return "hung up"


async def traffic(client: httpx.AsyncClient, at_once: int, ends: float, first: int) -> Counter[str]:
    """Callers without a pause until `ends`, in seconds of the monotonic clock."""
    seeds = [file.read_bytes() for file in sorted(CORPUS.glob("*.json"))]
    outcomes, number = Counter[str](), first

    async def caller() -> None:
        nonlocal number
        while time.monotonic() < ends:
            number += 1
            outcomes[await one(client, number, seeds)] += 1

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return outcomes


async def soak(
    url: str, process: psutil.Process, seconds: float, rounds: int, at_once: int
) -> tuple[list[Sample], Counter[str]]:
    """A sample before, and after each of so many equal rounds, always at rest."""
    outcomes, started = Counter[str](), time.monotonic()
    samples: list[Sample] = []
    for number in range(rounds + 1):
        async with httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits(max_connections=None)) as client:
            if number:
                ends = time.monotonic() + seconds / rounds
                outcomes += await traffic(client, at_once, ends, number * 10_000_000)
            minutes = (time.monotonic() - started) / 60
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:  # the callers' connections are closed
            samples.append(await sample(client, process, minutes, outcomes.total()))
    return samples, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--pid", type=int, required=True, help="the API process")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--at-once", type=int, default=12)
    options = parser.parse_args()
    process = psutil.Process(options.pid)
    samples, outcomes = asyncio.run(soak(options.url, process, options.minutes * 60, options.rounds, options.at_once))
    print("minutes    calls  server MiB  engine MiB  descriptors  threads  tasks  left at work")
    for one in samples:
        memory = f"{one.server:11.1f} {one.engine:11.1f}"
        counts = f"{one.descriptors:12d} {one.threads:8d} {one.tasks:6d}"
        print(f"{one.minutes:7.1f} {one.calls:8d} {memory} {counts}  {one.left or 'nothing'}")
    for outcome, number in outcomes.most_common():
        print(f"{number:8d}  {outcome}")


if __name__ == "__main__":
    main()
