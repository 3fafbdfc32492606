"""Reads an engine's KV events as an endpoint picker does, and asks how well the index that it makes of them predicts
what the engine then finds in its cache.

python -m benchmarks.kv_events                 # starts a server on the embedded model with its events on

A server publishes them where `engine.kv_events_config` says so:

    engine:
      kv_events_config:
        {enable_kv_cache_events: true, endpoint: "tcp://*:5557", replay_endpoint: "tcp://*:5558", topic: "kv@POD@MODEL"}

They hold the tokens of all prompts, and the salts that keep accounts apart, in the clear: let nobody but the picker
read them. The chart's NetworkPolicy sees to that.
"""

import argparse
import asyncio
import json
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import zmq

from benchmarks.callers import WORDS
from benchmarks.prefix_index import Batch, PrefixIndex, decode_batch
from server.nano import model_path
from server.prompt import load_prompt_builder
from server.protocol import Limits, parse_chat
from tests.conftest import Server

END = (-1).to_bytes(8, "big", signed=True)  # of a replay
PATIENCE = 5000  # ms that a replay may take
WINDOW = 2048  # tokens
CACHE = 24 << 20  # bytes: two windows, so that calls drive one another's blocks out


class Subscriber:
    """Keeps an index up to date with one engine. Of one thread at a time.

    Batches are numbered. One that is missing is asked for at the replay address; where it is not to be had, what was
    known is forgotten, since a block that was dropped unseen would be promised for ever. A number that was seen before,
    of a later moment, is of an engine that has started anew.

    seen, replayed, lost: batches so far.
    """

    def __init__(self, index: PrefixIndex, endpoint: str, replay: str | None = None, topic: str = "") -> None:
        self.index = index
        self.seen = self.replayed = self.lost = 0
        self._next, self._last = 0, 0.0
        self._replay_endpoint = replay
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set_hwm(0)  # the publisher's limit is enough
        self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        self._socket.connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | TracebackType | BaseException | None) -> None:
        self._socket.close(linger=0)

    def poll(self, timeout: int = 0) -> int:
        """Take in all that has come, after a wait of so many milliseconds for the first of it. Batches."""
        before = self.seen
        while self._socket.poll(timeout if self.seen == before else 0):
            _, number, payload = self._socket.recv_multipart()
            self._take(int.from_bytes(number, "big"), decode_batch(payload))
        return self.seen - before

    def catch_up(self) -> None:
        """Ask for what was published before this began to listen, or while it did not."""
        for number, batch in self._missed():
            if number >= self._next:
                self._apply(number, batch)
                self.replayed += 1

    def _take(self, number: int, batch: Batch) -> None:
        if number < self._next and batch.ts > self._last:
            self.index.clear()
            self._next = 0
        if number > self._next:
            self.catch_up()
        if number >= self._next:  # else a replay has brought it
            self._apply(number, batch)

    def _apply(self, number: int, batch: Batch) -> None:
        if number > self._next:  # what is missing before it is not to be had
            self.lost += number - self._next
            self.index.clear()
        self.index.apply(batch)
        self._next, self._last = number + 1, batch.ts
        self.seen += 1

    def _missed(self) -> list[tuple[int, Batch]]:
        """Each batch from the next one on that the engine still has, with its number."""
        if self._replay_endpoint is None:
            return []
        found = []
        with zmq.Context.instance().socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self._replay_endpoint)
            socket.send_multipart((b"", self._next.to_bytes(8, "big")))
            while socket.poll(PATIENCE):
                _, _, number, payload = socket.recv_multipart()
                if number == END:
                    break
                found.append((int.from_bytes(number, "big"), decode_batch(payload)))
        return found


@dataclass(slots=True)
class Agreement:
    """Of requests: tokens that the index promised, and that the engine then found."""

    pairs: list[tuple[int, int]] = field(default_factory=list)

    def __str__(self) -> str:
        more, less = (sum(sign * (found - promised) > 0 for promised, found in self.pairs) for sign in (1, -1))
        promised, found = (sum(each) for each in zip(*self.pairs, strict=True))
        equal = len(self.pairs) - more - less
        return (
            f"{len(self.pairs)} requests: {equal} found what was promised, {less} less, {more} more; "
            f"{promised:,} tokens promised, {found:,} found"
        )


class House:
    """Asks the index, then the server. agents: system prompts that calls share."""

    def __init__(self, client: httpx.AsyncClient, subscriber: Subscriber, agents: int = 4) -> None:
        self.subscriber = subscriber
        self._client = client
        self._agents = agents
        self._prompts = load_prompt_builder(model_path(), context_window=WINDOW)
        self._limits = Limits(("electron",), vocab_size=1)

    async def call(self, number: int, turns: int, agreement: Agreement) -> None:
        chance = random.Random(number)
        agent = number % self._agents
        messages = [{"role": "system", "content": f"You are agent {agent}. {_words(random.Random(agent), 60)}"}]
        for _ in range(turns):
            messages.append({"role": "user", "content": _words(chance, 12)})
            messages.append({"role": "assistant", "content": await self._turn(messages, agreement)})

    async def _turn(self, messages: list[dict[str, str]], agreement: Agreement) -> str:
        body = {"model": "electron", "messages": messages, "max_tokens": 24, "ignore_eos": True}
        prompt = self._prompts.chat(parse_chat(json.dumps(body).encode(), self._limits))
        self.subscriber.poll()
        promised = self.subscriber.index.cached_tokens(prompt.token_ids)
        answer = (await self._client.post("/v1/chat/completions", json=body)).raise_for_status().json()
        agreement.pairs.append((promised, answer["usage"]["prompt_tokens_details"]["cached_tokens"]))
        return str(answer["choices"][0]["message"]["content"] or "")


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(count))


async def measure(server: Server, subscriber: Subscriber, calls: int, turns: int) -> None:
    async with httpx.AsyncClient(base_url=server.root, timeout=600) as client:
        house = House(client, subscriber)
        for at_once in (1, 6):
            agreement, room = Agreement(), asyncio.Semaphore(at_once)

            async def call(number: int, agreement: Agreement = agreement, room: asyncio.Semaphore = room) -> None:
                async with room:
                    await house.call(number, turns, agreement)

            await asyncio.gather(*(call(1000 * at_once + number) for number in range(calls)))
            print(f"{at_once} calls at once: {agreement}")
    print(f"batches: {subscriber.seen}, replayed {subscriber.replayed}, lost {subscriber.lost}")
    print(f"blocks known at the end: {len(subscriber.index)} of {subscriber.index.block_size} tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=24, help="one at a time, and then as many again, six at once")
    parser.add_argument("--turns", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events, replay = (f"ipc://{folder}/{name}" for name in ("events", "replay"))
        config = {"enable_kv_cache_events": True, "endpoint": events, "replay_endpoint": replay}
        settings = (
            f"engine.kv_events_config={json.dumps({**config, 'topic': 'kv@pod@electron'})}",
            f"engine.kv_cache_memory_bytes={CACHE}",
            f"model.context_window={WINDOW}",
        )
        with Server(Path(folder) / "log.txt", *settings) as server:
            server.wait_until_ready()
            with Subscriber(PrefixIndex(), events, replay, "kv@") as subscriber:
                subscriber.catch_up()  # the server has warmed up
                asyncio.run(measure(server, subscriber, options.calls, options.turns))
            server.stop()


if __name__ == "__main__":
    main()
