"""Many callers at once, and callers who hang up: nothing is mixed up, nothing is left behind."""

import asyncio
import json
import random
import time

import httpx
import openai
import pytest

STREAMS = 200
DISCONNECTS = 500
AT_ONCE = 50


def marked(marker: str) -> dict:
    schema = {"type": "object", "properties": {"marker": {"const": marker}}, "required": ["marker"]}
    return {"type": "json_schema", "json_schema": {"name": "m", "schema": schema, "strict": True}}


async def test_200_streams_at_once_each_with_its_own_marker(async_client: openai.AsyncOpenAI) -> None:
    async def caller(number: int) -> tuple[str, str]:
        marker = f"caller {number}"
        stream = await async_client.chat.completions.create(
            model="electron",
            messages=[{"role": "user", "content": f"I am {marker}."}],
            response_format=marked(marker),
            temperature=1.5,
            stream=True,
        )
        text, reason = "", None
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            reason = chunk.choices[0].finish_reason or reason
        assert reason == "stop"
        return marker, json.loads(text)["marker"]

    answers = await asyncio.gather(*(caller(number) for number in range(STREAMS)))
    assert len(answers) == STREAMS
    assert all(sent == received for sent, received in answers)


async def test_after_500_disconnects_at_random_moments_nothing_runs(server, async_client: openai.AsyncOpenAI) -> None:
    """Streamed and not: some leave before the first token, some in the middle, some while the body is awaited."""
    chance = random.Random(7)
    turns = asyncio.Semaphore(AT_ONCE)

    async def caller(number: int) -> None:
        body = {
            "model": "electron",
            "messages": [{"role": "user", "content": f"Caller {number} " + "talks on and on " * chance.randrange(60)}],
            "stream": number % 2 == 0,
            "ignore_eos": True,
            "max_tokens": 4000,
        }
        patience = chance.expovariate(1 / 0.3)
        async with turns:
            try:
                async with (
                    asyncio.timeout(patience),
                    client.stream("POST", "/v1/chat/completions", json=body) as answer,
                ):
                    async for _ in answer.aiter_bytes():
                        pass
            except TimeoutError:
                pass

    async with httpx.AsyncClient(base_url=server.root, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        await asyncio.gather(*(caller(number) for number in range(DISCONNECTS)))
        series = await settled(client)
    assert series == {"vllm:num_requests_running": 0, "vllm:num_requests_waiting": 0, "vllm:kv_cache_usage_perc": 0}
    answer = await async_client.chat.completions.create(
        model="electron", messages=[{"role": "user", "content": "Still there?"}], max_tokens=2
    )
    assert answer.usage.completion_tokens > 0


async def settled(client: httpx.AsyncClient, limit: float = 20.0) -> dict[str, float]:
    """The engine's own figures, once they are at rest."""
    deadline = time.monotonic() + limit
    while True:
        series = gauges((await client.get("/metrics")).text)
        if not any(series.values()) or time.monotonic() > deadline:
            return series
        await asyncio.sleep(0.1)


def gauges(text: str) -> dict[str, float]:
    wanted = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
    lines = [line for line in text.splitlines() if line.split("{")[0] in wanted]
    return {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_frees_the_engine_at_once(server, stream: bool) -> None:
    body = {
        "model": "electron",
        "messages": [{"role": "user", "content": "Talk"}],
        "stream": stream,
        "ignore_eos": True,
        "max_tokens": 30_000,
    }
    async with httpx.AsyncClient(base_url=server.root, timeout=60) as client:
        try:
            async with asyncio.timeout(2), client.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for _ in answer.aiter_bytes():
                    pass
        except TimeoutError:
            pass
        series = await settled(client, limit=5)
    assert not any(series.values())
