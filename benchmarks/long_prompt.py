"""What others notice of one prompt that nearly fills the window: gaps between the tokens of running calls, and how long
new calls wait for their first token, before it and while it is read.

electron-server serve --config configs/nano.yaml & python -m benchmarks.long_prompt
python -m benchmarks.long_prompt --of engine.long_prefill_token_threshold --try 64 256 0   # servers that take turns
"""

import argparse
import asyncio
import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx

from benchmarks.callers import body, talk
from tests.conftest import Server

LISTENERS = 4
LEAD = 6.0  # seconds of talk before the long prompt comes
PATIENCE = "http.first_token_timeout=1800"


@dataclass(frozen=True, slots=True)
class Heard:
    """gaps: milliseconds between chunks of one running call. waits: milliseconds of new calls for their first token."""

    gaps: Sequence[float]
    waits: Sequence[float]

    def gap(self, percent: int) -> float:
        return quantiles(self.gaps, n=100)[percent - 1]


@dataclass(frozen=True, slots=True)
class Seen:
    """ttft: seconds until the first token of the long prompt. tokens: of it. before, during: what others heard."""

    ttft: float
    tokens: int
    before: Heard
    during: Heard


async def listen(client: httpx.AsyncClient, number: int, arrivals: list[float]) -> None:
    """Notes when each chunk of an endless answer came."""
    async with client.stream("POST", "/v1/chat/completions", json=talk(number)) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                arrivals.append(time.monotonic())


async def newcomers(
    client: httpx.AsyncClient, waits: list[tuple[float, float]], first: int, stop: asyncio.Event
) -> None:
    """One short prompt after the other: when it was sent, and the seconds to its first token."""
    for number in itertools.count(first):
        if stop.is_set():
            return
        began = time.monotonic()
        await first_token(client, words=40, number=number)
        waits.append((began, time.monotonic() - began))


async def first_token(client: httpx.AsyncClient, words: int, number: int) -> tuple[float, int]:
    """Seconds, and the tokens of the prompt."""
    started = time.monotonic()
    answer = await client.post("/v1/chat/completions", json=body(number, words=words, max_tokens=1))
    answer.raise_for_status()
    return time.monotonic() - started, int(answer.json()["usage"]["prompt_tokens"])


def gaps(arrivals: Sequence[Sequence[float]], since: float, until: float) -> list[float]:
    """Milliseconds between the chunks of each listener, of every gap that touches that time."""
    found: list[float] = []
    for times in arrivals:
        found += [
            1000 * (later - sooner) for sooner, later in itertools.pairwise(times) if since <= later and sooner <= until
        ]
    return found


async def rate(client: httpx.AsyncClient, words: int) -> float:
    """Tokens of a prompt that are read in a second while nobody else calls."""
    short, few = await first_token(client, words=words // 100, number=2)
    long, many = await first_token(client, words=words // 4, number=3)
    return (many - few) / (long - short)


async def see(url: str, words: int, number: int) -> Seen:
    """One long prompt beside running and new calls. number: of a prompt that the server has not seen."""
    async with httpx.AsyncClient(base_url=url, timeout=1800) as client:
        return await _see(client, words, number)


async def _see(client: httpx.AsyncClient, words: int, number: int) -> Seen:
    arrivals: list[list[float]] = [[] for _ in range(LISTENERS)]
    waits: list[tuple[float, float]] = []
    stop = asyncio.Event()
    listening = [asyncio.create_task(listen(client, n, arrivals[n])) for n in range(LISTENERS)]
    calling = asyncio.create_task(newcomers(client, waits, 1000 * number, stop))
    await asyncio.sleep(LEAD)
    began = time.monotonic()
    ttft, tokens = await first_token(client, words, number)
    ended = time.monotonic()
    stop.set()
    await calling
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)

    def heard(since: float, until: float) -> Heard:
        new = [1000 * wait for moment, wait in waits if since <= moment <= until]
        return Heard(gaps(arrivals, since, until), new)

    return Seen(ttft, tokens, heard(began - LEAD / 2, began), heard(began, ended))


async def measure(url: str, words: int, gap: float) -> None:
    """Of a server that runs."""
    async with httpx.AsyncClient(base_url=url, timeout=1800) as client:
        alone = await rate(client, words)
    seen = await see(url, words, number=1)
    print(f"{alone:.0f} tokens of a prompt in a second: a step of {alone * gap / 1000:.0f} takes {gap:g} ms")
    print(f"prompt of {seen.tokens} tokens beside {LISTENERS} calls: first token after {seen.ttft:.1f} s")
    for name, heard in (("before", seen.before), ("during", seen.during)):
        print(f"gaps {name}: p50 {heard.gap(50):.0f} ms, p99 {heard.gap(99):.0f} ms, longest {max(heard.gaps):.0f} ms")
        new = heard.waits
        print(f"  new calls: {len(new)}, first token after {median(new):.0f} ms, at most {max(new):.0f} ms")


COLUMNS: dict[str, Callable[[Seen], float]] = {
    "first token of the prompt, s": lambda seen: seen.ttft,
    "gaps p50, ms": lambda seen: seen.during.gap(50),
    "gaps p99, ms": lambda seen: seen.during.gap(99),
    "first token of new calls p50, ms": lambda seen: median(seen.during.waits),
    "at most, ms": lambda seen: max(seen.during.waits),
}


def compare(setting: str, values: Sequence[str], words: int, rounds: int) -> None:
    """Servers of our own, one for each value, that take turns: medians of the rounds, and of the ratios in them."""
    seen: dict[str, list[Seen]] = {value: [] for value in values}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers: dict[str, Server] = {}
        for value in values:
            log = Path(folder, value, "log.txt")
            log.parent.mkdir()
            servers[value] = stack.enter_context(Server(log, PATIENCE, f"{setting}={value}"))
        for server in servers.values():
            server.wait_until_ready()
        for number in range(1, rounds + 1):
            for value, server in servers.items():
                seen[value].append(asyncio.run(see(server.root, words, number)))
                print(f"{value}: {seen[value][-1].ttft:.1f} s", file=sys.stderr)
    first = seen[values[0]]
    before = median(one.before.gap(50) for each in seen.values() for one in each)
    print(f"{first[0].tokens} tokens beside {LISTENERS} calls, {rounds} rounds; gaps before, p50: {before:.0f} ms")
    print(f"| {setting} | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for value in values:
        print(f"| {value} | {' | '.join(cell(seen[value], first, read) for read in COLUMNS.values())} |")


def cell(rounds: Sequence[Seen], reference: Sequence[Seen], read: Callable[[Seen], float]) -> str:
    values = [read(seen) for seen in rounds]
    ratios = [value / read(other) for value, other in zip(values, reference, strict=True)]
    middle = median(values)
    shown = f"{middle:,.0f}" if middle >= 100 else f"{middle:.1f}"
    return shown if rounds is reference else f"{shown} ({median(ratios):.2f}x)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--words", type=int, default=13_500)
    parser.add_argument("--gap", type=float, default=50.0, help="milliseconds that a running call may wait for a token")
    parser.add_argument("--of", metavar="SETTING", help="compare servers that differ in this setting...")
    parser.add_argument("--try", nargs="+", dest="values", default=[], metavar="VALUE", help="...and have these values")
    parser.add_argument("--rounds", type=int, default=3, help="of such a comparison")
    options = parser.parse_args()
    if options.of:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end with this
        compare(options.of, options.values, options.words, options.rounds)
    else:
        asyncio.run(measure(options.url, options.words, options.gap))


if __name__ == "__main__":
    main()
