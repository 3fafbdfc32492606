"""Voice callers, and how each of their calls ended, as a client sees it."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import httpx

COMPLETE = "complete"
CUT = "cut off"  # neither [DONE] nor an error: what must never happen
ONE_LETTER = {"70": 100}  # of the embedded model's tokenizer
WORDS = ("alpha", "beta", "gamma", "delta", "account", "number", "please", "tomorrow")

Body = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """outcome: `complete`, `503 service_unavailable`, `error event upstream_error`, `cut off`, or the transport's.

    started, ended: in seconds, monotonic. admitted: there will be a row in the ledger.
    """

    outcome: str
    started: float
    ended: float
    admitted: bool


def body(number: int = 0, *, words: int = 20, **options: object) -> Body:
    """A prompt that no other number has, after a beginning that all share."""
    chance = random.Random(number)
    said = " ".join(chance.choice(WORDS) for _ in range(words))
    system = {"role": "system", "content": "You are a friendly phone agent."}
    messages = [system, {"role": "user", "content": f"Caller {number} says: {said}"}]
    return {"model": "electron", "messages": messages, **options}


def talk(number: int = 0, *, tokens: int = 20_000, words: int = 20, stream: bool = True) -> Body:
    """An answer that goes on until it is stopped: one letter, whatever the weights would rather say."""
    return body(number, words=words, stream=stream, logit_bias=ONE_LETTER, max_tokens=tokens)


async def call(client: httpx.AsyncClient, request: Body, headers: Mapping[str, str] | None = None) -> Call:
    """Never raises for what the server or the network does."""
    started, admitted = time.monotonic(), False
    try:
        async with client.stream("POST", "/v1/chat/completions", json=request, headers=headers) as response:
            admitted = response.status_code == 200
            text = (await response.aread()).decode()
    except httpx.TransportError as error:
        outcome = type(error).__name__
    else:
        outcome = outcome_of(response.status_code, text)
    return Call(outcome, started, time.monotonic(), admitted)


def outcome_of(status: int, text: str) -> str:
    if status != 200:
        return f"{status} {json.loads(text)['error']['type'] if text.startswith('{') else 'of a proxy'}"
    if not text.startswith(("data:", "event:", ":")):
        return COMPLETE
    last = text.rstrip("\n").split("\n\n")[-1]
    if last.startswith("event: error\ndata: "):
        return f"error event {json.loads(last.split('data: ', 1)[1])['error']['type']}"
    return COMPLETE if last == "data: [DONE]" else CUT


def outcomes(calls: Iterable[Call]) -> Counter[str]:
    return Counter(one.outcome for one in calls)


class Callers:
    """So many at once, each calling again as soon as its call has ended, until `stop` is set."""

    def __init__(self, client: httpx.AsyncClient, at_once: int, next_body: Callable[[int], Body]) -> None:
        self.calls: list[Call] = []
        self.stop = asyncio.Event()
        self._client = client
        self._at_once = at_once
        self._next_body = next_body
        self._numbers = self._count()

    async def run(self) -> None:
        await asyncio.gather(*(self._caller() for _ in range(self._at_once)))

    async def _caller(self) -> None:
        while not self.stop.is_set():
            self.calls.append(await call(self._client, self._next_body(next(self._numbers))))

    @staticmethod
    def _count() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1


GAUGES = (
    "electron_requests_in_flight",
    "electron_queued_prompt_tokens",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
)


async def gauges(client: httpx.AsyncClient) -> dict[str, float]:
    """What is at work, by the server's own page; labels summed up."""
    found = dict.fromkeys(GAUGES, 0.0)
    for line in (await client.get("/metrics")).text.splitlines():
        if (name := line.split("{")[0].split(" ")[0]) in found:
            found[name] += float(line.rsplit(" ", 1)[1])
    return found


async def at_rest(client: httpx.AsyncClient, patience: float = 30.0) -> dict[str, float]:
    """The gauges that are not at zero once nobody calls any more; none, when all is well."""
    ends = time.monotonic() + patience
    while left := {name: value for name, value in (await gauges(client)).items() if value}:
        if time.monotonic() > ends:
            break
        await asyncio.sleep(0.2)
    return left
