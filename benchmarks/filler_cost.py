"""What words before a call cost, and the grammar that makes the model say them; one caller at a time.

electron-server serve --config configs/nano.yaml &
electron-server serve --config configs/nano.yaml --port 8001 --set model.tool_format=qwen3_coder &
python -m benchmarks.filler_cost --free http://127.0.0.1:8001/v1

First word: until it is whole. First tool byte: until a chunk holds the beginning of a call. All rows are of the same
conversations, those in which the model calls in every mode. The second server does without a grammar: it takes the
embedded model for one of a family whose calls are not prescribed where nothing was promised, and reads them all the
same.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import httpx
import orjson

from benchmarks.filler import STOPS, scripts
from server.nano.train.corpus import Conversation

Json = dict[str, Any]

FREE = "no words, no grammar"
MODES: dict[str, Json] = {
    FREE: {"tool_choice": "auto", "filler": "off"},
    "no words": {"tool_choice": "auto", "filler": "off"},
    "no words, required": {"tool_choice": "required", "filler": "off"},
    "the model's sentence": {"tool_choice": "auto", "filler": "always"},
    "the model's sentence, required": {"tool_choice": "required", "filler": "always"},
    "the server's phrase": {"tool_choice": "auto", "filler": {"mode": "always", "strategy": "phrase"}},
    "the server's phrase, required": {"tool_choice": "required", "filler": {"mode": "always", "strategy": "phrase"}},
}
EVENTS = ("first word", "first tool byte")


@dataclass
class Turn:
    """Seconds until each event; absent where it did not come."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    words: str = ""

    def see(self, delta: Json) -> None:
        self.words += delta.get("content") or ""
        said = self.words.strip()
        if said and (" " in said or said[-1] in STOPS):
            self._note("first word")
        if delta.get("tool_calls"):
            self._note("first tool byte")

    def _note(self, event: str) -> None:
        self.seconds.setdefault(event, time.perf_counter() - self.began)


async def ask(client: httpx.AsyncClient, script: Conversation, seed: int, options: Json) -> Turn:
    body = {
        "model": "electron",
        "messages": script.messages[:2],
        "tools": script.tools,
        "seed": seed,
        "temperature": 0.7,
        "max_tokens": 300,
        "stream": True,
        **options,
    }
    turn = Turn()
    async with client.stream("POST", "/chat/completions", json=body) as response:
        if response.is_error:
            raise RuntimeError((await response.aread()).decode())
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in orjson.loads(line[6:])["choices"]:
                    turn.see(choice["delta"])
    return turn


async def measure(times: dict[str, list[Turn]], url: str, free: str | None, wanted: int, first: int) -> None:
    """times: by mode, right at any time. The modes of one conversation follow each other, so that what else the machine
    does hits all alike."""
    kept = next(iter(times.values()))
    async with (
        httpx.AsyncClient(base_url=url, timeout=600) as bound,
        httpx.AsyncClient(base_url=free or url, timeout=600) as unbound,
    ):
        for number, script in enumerate(scripts(voice=True, first=first), first):
            turns = dict[str, Turn]()
            for name in times:
                client = unbound if name == FREE else bound
                await ask(client, script, number, MODES[name])  # compiles the grammar, fills the prefix cache
                turns[name] = await ask(client, script, number, MODES[name])
                if EVENTS[1] not in turns[name].seconds:
                    break
            else:
                for name, turn in turns.items():
                    times[name].append(turn)
            if len(kept) == wanted:
                return


def row(turns: list[Turn]) -> str:
    parts = []
    for event in EVENTS:
        seconds = [turn.seconds[event] for turn in turns if event in turn.seconds]
        if len(seconds) > 1:
            cuts = quantiles(seconds, n=20)
            parts.append(f"{event} p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[18] * 1000:.0f} ms")
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--free", help="of the server without a grammar; without it the row is left out")
    parser.add_argument("--turns", type=int, default=100, help="that call in every mode")
    parser.add_argument("--first", type=int, default=0, help="number of the first conversation")
    args = parser.parse_args()
    times: dict[str, list[Turn]] = {name: [] for name in MODES if args.free or name != FREE}
    try:
        asyncio.run(measure(times, args.url, args.free, args.turns, args.first))
    finally:
        print(f"{len(times['no words'])} turns")
        for name, turns in times.items():
            print(f"{name}: {row(turns)}")


if __name__ == "__main__":
    main()
