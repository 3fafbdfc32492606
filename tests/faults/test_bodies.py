"""Broken and hostile requests against the running server: an answer for each, and nothing left at work."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from benchmarks.callers import COMPLETE, at_rest, body, call
from benchmarks.fuzz import ALLOWED, CORPUS, PATIENCE, fuzz
from benchmarks.hostile import ATTACKS, NOT_HTTP, ODD
from tests.conftest import Server

FUZZED = 1500  # benchmarks/fuzz.py sends 100,000
CHAT = "/v1/chat/completions"
REFUSAL = "400 invalid_request_error"
REFUSED = re.compile(
    "endless|huge|not_a_number|deep|truncated|invalid|lone|wrong|absurd|array|null|string|empty$|blank|no_messages"
    "|fractions|completion|byte_order"
)


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.json")), ids=lambda file: file.stem)
def test_every_body_of_the_corpus(http: httpx.Client, file: Path) -> None:
    response = http.post(CHAT, content=file.read_bytes(), headers={"Content-Type": "application/json"})
    assert response.status_code == (400 if REFUSED.search(file.stem) else 200), response.text
    if response.status_code == 400:
        assert response.json()["error"]["details"]


async def test_mutations_of_the_corpus(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        statuses = await fuzz(client, FUZZED, at_once=8)
        assert set(statuses) <= ALLOWED
        assert await at_rest(client) == {}
        assert (await call(client, body(max_tokens=2))).outcome == COMPLETE


def heavy_tool(number: int) -> dict[str, object]:
    """100 kB of schema."""
    properties = {f"p{n}": {"type": "string", "description": "d" * 60} for n in range(1000)}
    return {"type": "function", "function": {"name": f"t{number}", "parameters": {"properties": properties}}}


async def test_64_tools_of_100_kb_hold_nobody_up_for_ever(server: Server) -> None:
    heavy = body(tools=[heavy_tool(number) for number in range(64)])
    assert len(orjson.dumps(heavy)) > 64 * 100_000
    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        refusal, *others = await asyncio.gather(
            client.post(CHAT, json=heavy), *(call(client, body(number, max_tokens=4)) for number in range(4))
        )
        assert await at_rest(client) == {}
    assert refusal.json()["error"]["details"][0]["code"] == "context_length_exceeded"
    assert {other.outcome for other in others} == {COMPLETE}


async def test_who_sends_too_large_a_body_hears_so_after_it(server: Server) -> None:
    """The client reads no answer before it has sent all; only an upload that never ends is cut off without a word."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 2**20

    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        for content in (chunks(), b" " * 12 * 2**20):
            response = await client.post(CHAT, content=content, headers=PATIENCE)
            assert (response.status_code, response.headers["connection"]) == (413, "close")
        assert await at_rest(client) == {}


async def attacked(server: Server, name: str) -> Counter[str]:
    """Answers by status and type."""
    got = await ATTACKS[name]("127.0.0.1", server.port)
    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        assert await at_rest(client) == {}
        assert (await call(client, body(max_tokens=2))).outcome == COMPLETE
    return got


async def test_what_is_not_http_gets_the_envelope(server: Server) -> None:
    assert await attacked(server, "what is not HTTP") == {REFUSAL: len(NOT_HTTP)}


async def test_odd_heads(server: Server) -> None:
    got = await attacked(server, "odd heads")
    assert set(got) <= {"100", "200", REFUSAL, "404 invalid_request_error"}
    assert got.total() - got["100"] == len(ODD)


@pytest.mark.parametrize("name", ["exponential patterns", "recursive schemas", "huge bounds"])
async def test_schemas_that_cannot_be_compiled_are_refused(server: Server, name: str) -> None:
    assert set(await attacked(server, name)) <= {"200", REFUSAL, "504 timeout_error"}


async def test_a_body_of_millions_of_values(server: Server) -> None:
    assert set(await attacked(server, "4,000,000 values, 16 at once")) == {REFUSAL}
