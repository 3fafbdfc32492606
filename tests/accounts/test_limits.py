"""Plans against live servers, one and two of them."""

import asyncio
import itertools
import random
from contextlib import AsyncExitStack

import openai
import pytest

from tests.accounts.callers import ask, calling, remaining, talking
from tests.accounts.fleet import PLANS, Fleet

MINUTE = 60.0
TURNS, ATTEMPTS = 40, 4
DECISIONS = ("admitted", "refunded", "requests", "concurrency")


@pytest.mark.parametrize("servers", [1, 2])
async def test_ten_of_eleven_in_a_minute(fleet: Fleet, servers: int) -> None:
    key = fleet.account(f"minute-{servers}")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(calling(server, key)) for server in fleet.both[:servers]]
        turns = itertools.cycle(clients)
        assert [await remaining(next(turns)) for _ in range(10)] == [*reversed(range(10))]
        for _ in range(3):
            with pytest.raises(openai.RateLimitError) as refused:
                await ask(next(turns))
    error = refused.value.response.json()["error"]
    headers = refused.value.response.headers
    assert error["type"] == "rate_limit_error"
    assert error["message"] == "Rate limit reached: 10 requests per minute on the plan `standard`."
    assert error["request_id"] == headers["x-request-id"]
    assert 0 < int(headers["retry-after"]) <= MINUTE
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("10", "0")
    assert headers["x-ratelimit-reset-requests"] == headers["retry-after"] + "s"


@pytest.mark.parametrize("servers", [1, 2])
async def test_three_of_four_at_once(fleet: Fleet, servers: int) -> None:
    key = fleet.account(f"at-once-{servers}")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(calling(server, key)) for server in fleet.both[:servers]]
        turns = itertools.cycle(clients)
        lines = [await stack.enter_async_context(talking(next(turns))) for _ in range(3)]
        for client in clients:
            with pytest.raises(openai.RateLimitError, match="Concurrency limit reached") as refused:
                await ask(client)
            headers = refused.value.response.headers
            assert (headers["x-ratelimit-limit-concurrency"], headers["x-ratelimit-remaining-concurrency"]) == (
                "3",
                "0",
            )
            assert headers["retry-after"] == "1"
        await lines[0].close()
        for client in clients:  # each server finds the one free place, whoever had it
            await ask(client)


async def test_a_caller_who_is_preempted_again_and_again(fleet: Fleet) -> None:
    """LiveKit's pattern: an answer is begun while the caller still speaks, and begun anew whenever there is more."""
    chance = random.Random(5)
    async with calling(fleet.a, fleet.account("livekit", "voice")) as client:

        async def answer(turn: int, attempt: int) -> str:
            heard = " ".join(["Could you tell me", "when the train", "to the coast", "leaves today?"][: attempt + 1])
            stream = await client.chat.completions.create(
                model="electron",
                messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{turn}: {heard}"}],
                max_tokens=8,
                stream=True,
                extra_body={"ignore_eos": True},
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        for turn in range(TURNS):
            for attempt in range(ATTEMPTS - 1):
                begun = asyncio.create_task(answer(turn, attempt))
                await asyncio.sleep(chance.uniform(0, 0.08))
                begun.cancel()  # and without waiting for that, the next one
            assert await answer(turn, ATTEMPTS - 1)
        left = await remaining(client)
    decided = {
        name: fleet.a.series("electron_limit_decisions_total", plan="voice", decision=name) for name in DECISIONS
    }
    assert decided["requests"] == decided["concurrency"] == 0
    assert TURNS < decided["admitted"] <= TURNS * ATTEMPTS + 1
    assert decided["refunded"] > 0
    # What was cancelled before its first token does not count; on a slow machine the first turns are a minute ago.
    assert left >= PLANS["voice"]["requests_per_minute"] - (decided["admitted"] - decided["refunded"])
