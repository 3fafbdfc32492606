"""A minute of one account and a little more, lived beside the other tests since it takes that long."""

import asyncio
import time
from dataclasses import dataclass

import openai

from tests.accounts.callers import calling
from tests.accounts.fleet import Fleet

MINUTE = 60.0
EARLY, LATE = 4, 6  # requests: ten in all
APART = 10.0  # seconds between them; a busy machine needs less for its answers


@dataclass(frozen=True, slots=True)
class Refusal:
    """Between which moments it came, and the seconds after which it says to come again."""

    before: float
    after: float
    wait: float


@dataclass(frozen=True, slots=True)
class Minute:
    """Seconds since the epoch: when the early requests began and ended, and the later ones began.

    full: the refusal of one more. slid: of one more again, when the early ones were gone and as many had come.
    """

    began: float
    ended: float
    late: float
    full: Refusal
    slid: Refusal


async def live_a_minute(fleet: Fleet, key: str) -> Minute:
    """
    Raises:
        openai.RateLimitError: a request was refused that should have been admitted.
    """
    async with calling(fleet.a, key) as one, calling(fleet.b, key) as two:
        began = time.time()
        for _ in range(EARLY):
            await admitted(one)
        ended = time.time()
        await asyncio.sleep(APART)
        late = time.time()
        for client in (one, two) * (LATE // 2):
            await admitted(client)
        full = await refused(two)
        await asyncio.sleep(ended + MINUTE - time.time())
        for client in (one, two) * (EARLY // 2):
            await admitted(client)
        return Minute(began, ended, late, full, await refused(one))


async def admitted(client: openai.AsyncOpenAI) -> None:
    """Counts, and costs the engine nothing: no answer of that length has room beside a prompt."""
    try:
        await client.chat.completions.create(
            model="electron", messages=[{"role": "user", "content": "Hello"}], max_tokens=32_768
        )
    except openai.BadRequestError as error:
        assert "context_length_exceeded" in error.response.text


async def refused(client: openai.AsyncOpenAI) -> Refusal:
    before = time.time()
    try:
        await admitted(client)
    except openai.RateLimitError as error:
        return Refusal(before, time.time(), float(error.response.headers["retry-after"]))
    raise AssertionError("one more than the plan allows was admitted")
