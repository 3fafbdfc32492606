"""Does the API process grow? Sends requests of every kind and reads the process's memory along the way.

electron-server serve --config configs/nano.yaml & python -m benchmarks.memory --pid $!
"""

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable

import httpx
import psutil
from tqdm import tqdm

WORDS = ("alpha", "beta", "gamma", "delta")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99}}, "required": ["n"]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}

Send = Callable[[httpx.AsyncClient, int, random.Random], Awaitable[None]]


def body(number: int, chance: random.Random, **options: object) -> dict[str, object]:
    """A prompt that no other request has, after a beginning that all share."""
    words = " ".join(chance.choice(WORDS) for _ in range(chance.randrange(5, 60)))
    system = {"role": "system", "content": "You are a friendly phone agent."}
    messages = [system, {"role": "user", "content": f"Caller {number} says: {words}"}]
    return {"model": "electron", "messages": messages, "max_tokens": 8, **options}


async def plain(client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
    (await client.post("/chat/completions", json=body(number, chance))).raise_for_status()


async def streamed(client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
    options = {"stream": True, "tools": [TOOL], "logprobs": True, "top_logprobs": 5}
    async with client.stream("POST", "/chat/completions", json=body(number, chance, **options)) as response:
        response.raise_for_status()
        await response.aread()


async def guided(client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
    """Every schema is another one, so that caches of grammars meet their bound."""
    schema = {**SCHEMA, "title": f"schema {number}"}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    (await client.post("/chat/completions", json=body(number, chance, response_format=wanted))).raise_for_status()


async def refused(client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
    assert (await client.post("/chat/completions", json=body(number, chance, n=2))).status_code == 400


async def hung_up(client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
    request = body(number, chance, stream=True, ignore_eos=True, max_tokens=2000)
    async with client.stream("POST", "/chat/completions", json=request) as response:
        async for _ in response.aiter_bytes():
            return


KINDS: tuple[Send, ...] = (plain, streamed, guided, refused, hung_up)


async def load(url: str, first: int, count: int, concurrency: int, progress: "tqdm[None]") -> None:
    turns = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with turns:
            await KINDS[number % len(KINDS)](client, number, random.Random(number))
        progress.update()

    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=None)) as client:
        await asyncio.gather(*(one(number) for number in range(first, first + count)))


def resident(process: psutil.Process) -> float:
    """MiB."""
    return process.memory_info().rss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--pid", type=int, required=True, help="the API process")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    process, each = psutil.Process(options.pid), options.requests // options.rounds
    rows = [(0, resident(process))]
    with tqdm(total=each * options.rounds, unit=" requests") as progress:
        for number in range(options.rounds):
            asyncio.run(load(options.url, number * each, each, options.concurrency, progress))
            rows.append(((number + 1) * each, resident(process)))
    print("requests  resident MiB")
    for count, memory in rows:
        print(f"{count:8d}  {memory:12.1f}")


if __name__ == "__main__":
    main()
