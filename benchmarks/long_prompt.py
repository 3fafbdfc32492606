"""What others notice of one prompt that nearly fills the window: gaps between the tokens of running calls, and how long
new calls wait for their first token, before it and while it is read.

electron-server serve --config configs/nano.yaml & python -m benchmarks.long_prompt
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Sequence
from statistics import median, quantiles

import httpx

from benchmarks.callers import body, talk

LISTENERS = 4
LEAD = 6.0  # seconds of talk before the long prompt comes


async def listen(client: httpx.AsyncClient, number: int, arrivals: list[float]) -> None:
    """Notes when each chunk of an endless answer came."""
    async with client.stream("POST", "/v1/chat/completions", json=talk(number)) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                arrivals.append(time.monotonic())


async def newcomers(client: httpx.AsyncClient, waits: list[tuple[float, float]]) -> None:
    """One short prompt after the other: when it was sent, and the seconds to its first token."""
    for number in itertools.count(100):
        began = time.monotonic()
        await first_token(client, words=40, number=number)
        waits.append((began, time.monotonic() - began))


async def first_token(client: httpx.AsyncClient, words: int, number: int = 1) -> tuple[float, int]:
    """Seconds, and the tokens of the prompt."""
    started = time.monotonic()
    answer = await client.post("/v1/chat/completions", json=body(number, words=words, max_tokens=1))
    answer.raise_for_status()
    return time.monotonic() - started, int(answer.json()["usage"]["prompt_tokens"])


def gaps(arrivals: Sequence[Sequence[float]], since: float, until: float) -> list[float]:
    """Milliseconds between the chunks of each listener that came in that time."""
    found: list[float] = []
    for times in arrivals:
        inside = [moment for moment in times if since <= moment <= until]
        found += [1000 * (later - earlier) for earlier, later in itertools.pairwise(inside)]
    return found


async def measure(url: str, words: int) -> None:
    arrivals: list[list[float]] = [[] for _ in range(LISTENERS)]
    waits: list[tuple[float, float]] = []
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        listening = [asyncio.create_task(listen(client, n, arrivals[n])) for n in range(LISTENERS)]
        listening.append(asyncio.create_task(newcomers(client, waits)))
        await asyncio.sleep(LEAD)
        began = time.monotonic()
        ttft, tokens = await first_token(client, words)
        ended = time.monotonic()
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    print(f"prompt of {tokens} tokens: first token after {ttft:.1f} s")
    for name, since, until in (("before", began - LEAD / 2, began), ("during", began, ended)):
        found = gaps(arrivals, since, until)
        cuts = quantiles(found, n=100)
        print(f"gaps {name}: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, longest {max(found):.0f} ms")
        new = [1000 * wait for moment, wait in waits if since <= moment <= until]
        print(f"  new calls: {len(new)}, first token after {median(new):.0f} ms, at most {max(new):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--words", type=int, default=13_500)
    options = parser.parse_args()
    asyncio.run(measure(options.url, options.words))


if __name__ == "__main__":
    main()
