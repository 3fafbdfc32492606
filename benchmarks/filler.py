"""Words before every tool call? Generated conversations against a running server, and what the words cost.

electron-server serve --config configs/nano.yaml & python -m benchmarks.filler

Each conversation goes on with what the server itself has answered, so that a sentence could come twice in it.
"""

import argparse
import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles
from typing import Any

import httpx
import orjson
from tqdm import tqdm

from server.nano.train.corpus import Conversation, conversation
from server.nano.train.corpus.actions import talk

CHOICES = ("auto", "required", "named")
MIN_WORDS, MAX_WORDS, MAX_CHARACTERS = 3, 15, 100
STOPS = ".!?…।۔。！？"
SENTENCE = re.compile(rf"[^\W\d_][^{STOPS}\n]*[{STOPS}]")
MAX_ANSWER, MAX_CALL = 200, 300  # tokens: an untrained model may go on for ever
MARKUP = re.compile(r"[<>{}\[\]*#`_|\\\"]")
VOICE = (
    "You are a friendly phone agent. Briefly acknowledge out loud before using any tool, like 'Let me check that' or "
    "'One moment'."
)

Json = dict[str, Any]


@dataclass
class Report:
    """turns, calls: by tool choice. faults: of turns that call."""

    turns: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    spoken: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def called(self) -> int:
        return sum(self.calls.values())

    def __str__(self) -> str:
        rows = [f"{name}: {self.calls[name]} of {self.turns[name]} turns call" for name in CHOICES]
        found = ", ".join(f"{number} {fault}" for fault, number in self.faults.most_common()) or "no fault"
        return "\n".join([*rows, f"words: {dict(self.spoken)}; {found}"])


def scripts(voice: bool, held_out: bool = True) -> Iterator[Conversation]:
    """Conversations that offer tools, with a prompt that wants words before a call, or none."""
    for number in count():
        script = conversation(number, held_out=held_out)
        if script.tools:
            chance = random.Random(number)
            asking = talk()["asks_for_filler"]
            wording = chance.choice([VOICE, *asking["en"], *asking[script.language]])
            system = [{"role": "system", "content": wording}] if voice else []
            heard = [message for message in script.messages if message["role"] == "user"]
            yield Conversation(script.language, voice, script.tools, [*system, *heard])


def faults_of(message: Json, said: Sequence[str]) -> list[str]:
    """What is wrong with the words before a call. said: before other calls of the conversation."""
    content = message["content"] or ""
    words = content.split()
    checks = {
        "without one sentence": not SENTENCE.fullmatch(content),
        "out of bounds": not MIN_WORDS <= len(words) <= MAX_WORDS or len(content) > MAX_CHARACTERS,
        "with markup": MARKUP.search(content),
        "said before": _bare(content) in map(_bare, said),
        "of unknown origin": message.get("x_filler") not in ("model", "phrase"),
    }
    return [name for name, wrong in checks.items() if wrong]


def quiet_faults_of(message: Json) -> list[str]:
    """What is wrong with a call that nobody asked to announce: content only where the model itself wrote some."""
    own = message.get("x_filler") == "model"
    return (
        [] if (message["content"] is None) != own and message.get("x_filler") != "phrase" else ["not the model's own"]
    )


async def converse(
    client: httpx.AsyncClient, script: Conversation, number: int, report: Report, **options: Any
) -> None:
    """One call of the caller's, turn by turn; every third tool result leads to another call."""
    chance, voice = random.Random(number), script.wants_filler
    messages = [message for message in script.messages if message["role"] == "system"]
    said: list[str] = []
    phrases = options.get("filler") == {"strategy": "phrase"}
    waiting = [message for message in script.messages if message["role"] == "user"]
    while waiting:
        messages.append(waiting.pop(0))
        chained = True
        while chained:
            name = chance.choice(CHOICES)
            answer = await _turn(client, script, messages, _choice(chance, script, name), number, options)
            message = answer["message"]
            report.turns[name] += 1
            cut = answer["finish_reason"] != "tool_calls"
            chained = not cut and chance.random() < 0.35
            if message["tool_calls"]:
                report.calls[name] += 1
                report.spoken[str(message.get("x_filler"))] += 1
                if not voice:
                    report.faults.update(quiet_faults_of(message))
                elif not (phrases and message.get("x_filler") == "model"):  # nothing bounds what it says unasked
                    report.faults.update(faults_of(message, said))
                said.append(message["content"] or "")
            if cut:  # or nothing called
                messages.append({"role": "assistant", "content": message["content"] or ""})
                continue
            messages.append(message)
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": '{"ok": true}'}
                for call in message["tool_calls"]
            ]


async def _turn(
    client: httpx.AsyncClient, script: Conversation, messages: list[Json], choice: object, seed: int, options: Json
) -> Json:
    body = {
        "model": "electron",
        "messages": messages,
        "tools": script.tools,
        "tool_choice": choice,
        "temperature": 1.0,
        "seed": seed + len(messages),
        "max_tokens": MAX_ANSWER if choice == "auto" else MAX_CALL,
        **options,
    }
    response = await client.post("/chat/completions", json=body)
    if response.is_error:
        raise RuntimeError(response.text)  # raise_for_status would not say why
    answer: Json = response.json()["choices"][0]
    return answer


def _choice(chance: random.Random, script: Conversation, name: str) -> object:
    if name != "named":
        return name
    return {"type": "function", "function": {"name": chance.choice(script.tools)["function"]["name"]}}


def _bare(text: str) -> str:
    return text.rstrip(STOPS + " \n").casefold()


async def cover(report: Report, url: str, wanted: int, concurrency: int, voice: bool, **options: Any) -> None:
    """Conversations until so many turns have called. The report is right at any time, if it is broken off."""
    source = enumerate(scripts(voice))
    with tqdm(total=wanted, unit=" calls") as progress:
        async with httpx.AsyncClient(base_url=url, timeout=600) as client:

            async def caller() -> None:
                while report.called < wanted:
                    number, script = next(source)
                    await converse(client, script, number, report, **options)
                    progress.update(report.called - progress.n)

            await asyncio.gather(*(caller() for _ in range(concurrency)))


async def timings(url: str, turns: int, **options: Any) -> dict[str, list[float]]:
    """Seconds until the first spoken word is whole, and until the first byte of a call; one caller at a time."""
    times: dict[str, list[float]] = {"first word": [], "first tool byte": []}
    source = scripts(voice=True)
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        for number in range(turns):
            script = next(source)
            body = {
                "model": "electron",
                "messages": script.messages[:2],
                "tools": script.tools,
                "tool_choice": "required",
                "seed": number,
                "max_tokens": 1000,
                "stream": True,
                **options,
            }
            began, content, seen = time.perf_counter(), "", set[str]()
            async with client.stream("POST", "/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data: {"):
                        continue
                    delta = orjson.loads(line[6:])["choices"][0]["delta"]
                    content += delta.get("content") or ""
                    for event, reached in (
                        ("first word", " " in content or (content[-1:] in STOPS and content)),
                        ("first tool byte", delta.get("tool_calls")),
                    ):
                        if reached and event not in seen:
                            seen.add(event)
                            times[event].append(time.perf_counter() - began)
    return times


def _milliseconds(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = quantiles(seconds, n=20)
    return f"p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[18] * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--quiet-calls", type=int, default=300)
    parser.add_argument("--phrase-calls", type=int, default=300)
    parser.add_argument("--timings", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=16)
    args = parser.parse_args()
    runs: tuple[tuple[str, int, bool, Json], ...] = (
        ("the model speaks", args.calls, True, {}),
        ("the server speaks", args.phrase_calls, True, {"filler": {"strategy": "phrase"}}),
        ("nobody is asked to", args.quiet_calls, False, {}),
    )
    for title, wanted, voice, options in runs:
        report = Report()
        try:
            if wanted:
                asyncio.run(cover(report, args.url, wanted, args.concurrency, voice, **options))
        finally:
            print(f"{title}\n{report}\n", flush=True)
    for name, filler in (("no words", "off"), ("a sentence", "always"), ("a phrase", {"strategy": "phrase"})):
        if args.timings:
            asyncio.run(timings(args.url, 2, filler=filler))  # what is compiled at first use
            times = asyncio.run(timings(args.url, args.timings, filler=filler))
            print(f"{name}: " + "; ".join(f"{event} {_milliseconds(values)}" for event, values in times.items()))


if __name__ == "__main__":
    main()
