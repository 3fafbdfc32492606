"""What accounts do: ask, hold a line open, hang up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx
import openai

Answer = openai.types.chat.ChatCompletion
HELLO = [{"role": "user", "content": "Hello"}]


class Address(Protocol):
    """A server, or what stands before several. url: with its version."""

    url: str


@asynccontextmanager
async def calling(server: Address, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The OpenAI SDK with a key, and without a second attempt."""
    limits = httpx.Limits(max_connections=None)
    http = httpx.AsyncClient(limits=limits, timeout=600)
    async with openai.AsyncOpenAI(base_url=server.url, api_key=key, max_retries=0, http_client=http) as client:
        yield client


async def ask(client: openai.AsyncOpenAI, **options: Any) -> Answer:
    """A whole answer of one token."""
    return await client.chat.completions.create(**{"model": "electron", "messages": HELLO, "max_tokens": 1, **options})


async def remaining(client: openai.AsyncOpenAI) -> int:
    """Ask; the requests that are left in this minute."""
    raw = await client.chat.completions.with_raw_response.create(model="electron", messages=HELLO, max_tokens=1)
    return int(raw.headers["x-ratelimit-remaining-requests"])


@asynccontextmanager
async def talking(client: openai.AsyncOpenAI) -> AsyncIterator[Any]:
    """A stream that would go on for a long time, from its first token on; left, it is hung up."""
    stream = await client.chat.completions.create(
        model="electron", messages=HELLO, max_tokens=30_000, stream=True, extra_body={"ignore_eos": True}
    )
    try:
        await anext(aiter(stream))
        yield stream
    finally:
        await stream.close()
