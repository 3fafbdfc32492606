"""Broken bodies by the thousand against a live server: no 500, no dead engine, nothing left at work.

electron-server serve --config configs/nano.yaml & python -m benchmarks.fuzz --requests 100000
"""

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
from tqdm import tqdm

from benchmarks.callers import at_rest

CORPUS = Path(__file__).parent.parent / "tests" / "cases" / "bodies"
ALLOWED = {200, 400, 413, 503, 504}  # 504: an answer that would be long is not waited for
PATIENCE = {"X-Request-Timeout": "2", "Content-Type": "application/json"}
SCALARS: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 2, 64, 2**31, 2**53, -(2**63), 2**64 - 1, 0.5, -0.0, 1e308, 5e-324),
    *("", " ", "electron", "user", "tool", "assistant", "auto", "required", "json_object", "json_schema", "text"),
    *("\x00", "\u200b", "\ufeff", "\U0001f600", "<|im_start|>", "<|im_end|>", "<tool_call>", "</think>", "a" * 5000),
    *([], {}, [[]], [{}], {"": None}, {"$ref": "#"}, {"type": "object"}, {"type": "text", "text": "x"}),
)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """The seed with some values exchanged, or some bytes."""
    try:
        value = orjson.loads(seed)
    except orjson.JSONDecodeError:
        return _bytes_mutated(seed, chance)
    if chance.random() < 0.2 or not isinstance(value, dict):
        return _bytes_mutated(seed, chance)
    for _ in range(chance.randrange(1, 5)):
        _exchange(value, chance)
    if chance.random() < 0.9:
        value["max_tokens"] = 1  # most of what is valid is not to be waited for
    return orjson.dumps(value)


def _exchange(value: object, chance: random.Random) -> None:
    places = list(_places(value))
    if not places:
        return
    container, key = chance.choice(places)
    match chance.randrange(4):
        case 0 if isinstance(container, dict):
            del container[key]
        case 1:
            other, elsewhere = chance.choice(places)
            container[key] = orjson.loads(orjson.dumps(other[elsewhere]))
        case 2 if isinstance(container, list) and len(container) < 300:
            container.extend([container[key]] * chance.choice((1, 5, 300)))
        case _:
            container[key] = orjson.loads(orjson.dumps(chance.choice(SCALARS)))


def _places(value: object) -> Iterator[tuple[dict | list, str | int]]:
    """Every member and element, as the container and the key in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield value, key
        yield from _places(child)


def _bytes_mutated(seed: bytes, chance: random.Random) -> bytes:
    body = bytearray(seed or b" ")
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(3):
            case 0:
                body[at : at + chance.randrange(1, 20)] = b""
            case 1:
                body[at:at] = chance.choice((b"[", b"{", b'"', b"\\ud800", b"\xff", b"\x00", b",", b"null", b"9" * 30))
            case _:
                body[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(body)


async def fuzz(client: httpx.AsyncClient, count: int, at_once: int, first: int = 0) -> Counter[int]:
    """Answers by status.

    Raises:
        AssertionError: an answer that must not be, with the body that got it.
    """
    seeds = [file.read_bytes() for file in sorted(CORPUS.glob("*.json"))]
    numbers, statuses = iter(range(first, first + count)), Counter[int]()

    async def caller() -> None:
        for number in numbers:
            chance = random.Random(number)
            body = mutated(chance.choice(seeds), chance)
            path = "/v1/completions" if chance.random() < 0.2 else "/v1/chat/completions"
            response = await client.post(path, content=body, headers=PATIENCE)
            assert response.status_code in ALLOWED, (number, response.status_code, response.text[:300], body[:2000])
            assert response.status_code == 200 or "error" in response.json(), (number, response.text[:300])
            statuses[response.status_code] += 1
            progress.update()

    with tqdm(total=count, unit=" bodies", disable=not sys.stderr.isatty()) as progress:
        await asyncio.gather(*(caller() for _ in range(at_once)))
    return statuses


async def run(url: str, count: int, at_once: int) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=None)) as client:
        statuses = await fuzz(client, count, at_once)
        left = await at_rest(client)
        ready = (await client.get("/readyz")).status_code
    print(f"{count} bodies: " + ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items())))
    print(f"ready: {ready}; left at work: {left}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    asyncio.run(run(options.url, options.requests, options.at_once))


if __name__ == "__main__":
    main()
