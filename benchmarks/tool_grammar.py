"""Do forced calls match their schemas, and does JSON mode end? Random schemas, random sampling, a running server.

electron-server serve --config configs/nano.yaml & python -m benchmarks.tool_grammar
"""

import argparse
import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jsonschema
import orjson
from tqdm import tqdm

from benchmarks.random_schemas import arguments

VOICE = "You are a friendly phone agent. Briefly acknowledge out loud before using any tool."
BLANKS = re.compile(r"[ \t\n\r]{2,}")

Ask = Callable[[httpx.AsyncClient, int], Awaitable[str]]


def tool_turn(number: int) -> dict[str, Any]:
    """A request that has to call: one of several tools or a named one, with and without a voice prompt."""
    chance = random.Random(number)
    functions = [{"name": f"tool_{i}", "parameters": arguments(chance)} for i in range(chance.randint(1, 4))]
    named = {"type": "function", "function": {"name": chance.choice(functions)["name"]}}
    system = [{"role": "system", "content": VOICE}] if number % 4 >= 2 else []
    return {
        "model": "electron",
        "messages": [*system, {"role": "user", "content": f"Caller {number} wants something."}],
        "tools": [{"type": "function", "function": function} for function in functions],
        "tool_choice": named if number % 2 else "required",
        "temperature": 1.0,
        "seed": number,
        "max_tokens": 4000,
    }


async def called(client: httpx.AsyncClient, number: int) -> str:
    body = tool_turn(number)
    choice = await _choice(client, body)
    (call,) = choice["message"]["tool_calls"]
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body["tools"]}
    wanted = body["tool_choice"]["function"]["name"] if number % 2 else call["function"]["name"]
    if choice["finish_reason"] != "tool_calls" or call["function"]["name"] != wanted:
        return "wrong call"
    checker = jsonschema.Draft202012Validator(schemas[wanted])
    return "valid" if checker.is_valid(orjson.loads(call["function"]["arguments"])) else "invalid"


async def answered_in_json(client: httpx.AsyncClient, number: int) -> str:
    body = {
        "model": "electron",
        "messages": [{"role": "user", "content": f"Caller {number} wants something."}],
        "response_format": {"type": "json_object"},
        "temperature": 1.5,
        "seed": number,
        "max_tokens": 512,
    }
    choice = await _choice(client, body)
    text = choice["message"]["content"]
    if BLANKS.search(re.sub(r'"(?:\\.|[^"\\])*("|$)', '""', text)):
        return "run of blanks"
    if choice["finish_reason"] == "length":
        return "cut by max_tokens"
    return "valid" if isinstance(orjson.loads(text), dict) else "invalid"


async def _choice(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post("/chat/completions", json=body)
    response.raise_for_status()
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


async def run(results: Counter[str], url: str, ask: Ask, count: int, concurrency: int, first: int) -> None:
    """results: right at any time."""
    turns = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with turns:
            try:
                result = await ask(client, number)
            except (httpx.HTTPError, orjson.JSONDecodeError, ValueError, TypeError) as error:
                result = f"failed: {error!r}"
            if result not in ("valid", "cut by max_tokens"):
                tqdm.write(f"{number}: {result}")
            results[result] += 1
            progress.update()

    limits = httpx.Limits(max_connections=None)
    with tqdm(total=count, unit=" turns") as progress:
        async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
            await asyncio.gather(*(one(number) for number in range(first, first + count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--json", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first turn; it seeds the model too")
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    for title, ask, count in (("forced calls", called, options.calls), ("json_object", answered_in_json, options.json)):
        if not count:
            continue
        results = Counter[str]()
        try:
            asyncio.run(run(results, options.url, ask, count, options.concurrency, options.first))
        finally:
            listed = ", ".join(f"{number} {result}" for result, number in results.most_common())
            print(f"{title}: {results.total()} turns, {listed}", flush=True)


if __name__ == "__main__":
    main()
