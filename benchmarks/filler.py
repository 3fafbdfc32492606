"""Words before every tool call? Generated conversations against a running server.

electron-server serve --config configs/nano.yaml & python -m benchmarks.filler

Each conversation goes on with what the server itself has answered, so that a sentence could come twice in it. What the
words cost: `python -m benchmarks.filler_cost`.
"""

import argparse
import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import jsonschema
import orjson
from tqdm import tqdm

from server.nano.train.corpus import Conversation, conversation
from server.nano.train.corpus.actions import talk

CHOICES = {"auto": 5, "required": 2, "named": 2}  # how often each; a good half of `auto` answers without a call
MIN_WORDS, MAX_WORDS, MAX_CHARACTERS = 3, 15, 100
STOPS = ".!?…।۔。！？"
SENTENCE = re.compile(rf"[^\W\d_][^{STOPS}\n]*[{STOPS}]")
MAX_ANSWER, MAX_CALL = 200, 300  # tokens: an untrained model may go on for ever
MARKUP = re.compile(r"[<>{}\[\]*#`_|\\\"]")
TAGS = re.compile(r'</|<[|｜]|<[a-z][a-z_]*>|\{\s*"|\[TOOL_CALLS\]')  # in an answer, which may have quotes and the like
VOICE = (
    "You are a friendly phone agent. Briefly acknowledge out loud before using any tool, like 'Let me check that' or "
    "'One moment'."
)

Json = dict[str, Any]


@dataclass
class Report:
    """turns, calls: by tool choice. faults: of all turns."""

    turns: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    spoken: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def called(self) -> int:
        return sum(self.calls.values())

    def fault(self, names: Sequence[str], answer: object) -> None:
        self.faults.update(names)
        if names:
            tqdm.write(f"{', '.join(names)}: {answer}")

    def __str__(self) -> str:
        rows = [f"{name}: {self.calls[name]} of {self.turns[name]} turns call" for name in CHOICES]
        found = ", ".join(f"{number} {fault}" for fault, number in self.faults.most_common()) or "no fault"
        return "\n".join([*rows, f"words: {dict(self.spoken)}; {found}"])


def scripts(voice: bool, first: int = 0) -> Iterator[Conversation]:
    """Conversations that offer tools, with a prompt that wants words before a call, or none. first: number of it."""
    for number in count(first):
        script = conversation(number, held_out=True)
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


def call_faults_of(answer: Json, tools: Sequence[Json]) -> list[str]:
    """What is wrong with an answer as such, and with its calls."""
    message, content = answer["message"], answer["message"]["content"] or ""
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    done = answer["finish_reason"] != "length"  # else the last call is cut, and its arguments are left open
    whole = [call["function"] for call in (message["tool_calls"] or [])[: None if done else -1]]
    checks = {
        "with half of a tag": TAGS.search(content) or content.count("}") > content.count("{"),
        "wrongly finished": done and (answer["finish_reason"] == "tool_calls") != bool(message["tool_calls"]),
        "against a schema": not all(_matches(schemas.get(call["name"]), call["arguments"]) for call in whole),
    }
    return [name for name, wrong in checks.items() if wrong]


def _matches(schema: Json | None, arguments: str) -> bool:
    try:
        return schema is not None and jsonschema.Draft202012Validator(schema).is_valid(orjson.loads(arguments))
    except orjson.JSONDecodeError:
        return False


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
            (name,) = chance.choices(list(CHOICES), CHOICES.values())
            answer = await _turn(client, script, messages, _choice(chance, script, name), number, options)
            message = answer["message"]
            report.turns[name] += 1
            report.fault(call_faults_of(answer, script.tools), answer)
            cut = answer["finish_reason"] != "tool_calls"
            chained = not cut and chance.random() < 0.35
            if message["tool_calls"]:
                report.calls[name] += 1
                report.spoken[str(message.get("x_filler"))] += 1
                if not voice:
                    report.fault(quiet_faults_of(message), answer)
                elif not (phrases and message.get("x_filler") == "model"):  # nothing bounds what it says unasked
                    report.fault(faults_of(message, said), answer)
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


async def cover(
    report: Report, url: str, wanted: int, concurrency: int, voice: bool, first: int, **options: Any
) -> None:
    """Conversations until so many turns of each tool choice have called. The report is right at any time."""
    source = enumerate(scripts(voice, first), first)
    with tqdm(total=wanted, unit=" calls of each") as progress:
        async with httpx.AsyncClient(base_url=url, timeout=600) as client:

            async def caller() -> None:
                while (least := min(report.calls[name] for name in CHOICES)) < wanted:
                    progress.update(least - progress.n)
                    number, script = next(source)
                    await converse(client, script, number, report, **options)

            await asyncio.gather(*(caller() for _ in range(concurrency)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--calls", type=int, default=1000, help="of each tool choice, with a voice prompt")
    parser.add_argument("--phrase-calls", type=int, default=300, help="the same, the server speaking")
    parser.add_argument("--quiet-calls", type=int, default=300, help="the same without a voice prompt")
    parser.add_argument("--first", type=int, default=0, help="number of the first conversation")
    parser.add_argument("--concurrency", type=int, default=16)
    args = parser.parse_args()
    runs: tuple[tuple[str, int, bool, Json], ...] = (
        ("the model speaks", args.calls, True, {}),
        ("the server speaks", args.phrase_calls, True, {"filler": {"strategy": "phrase"}}),
        ("nobody is asked to", args.quiet_calls, False, {}),
    )
    for title, wanted, voice, options in runs:
        if not wanted:
            continue
        report = Report()
        try:
            asyncio.run(cover(report, args.url, wanted, args.concurrency, voice, args.first, **options))
        finally:
            print(f"{title}\n{report}\n", flush=True)


if __name__ == "__main__":
    main()
