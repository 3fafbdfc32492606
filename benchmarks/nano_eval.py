"""Scores of the embedded model on held-out conversations, through a running server: `python -m benchmarks.nano_eval`.

Every assistant turn of a conversation is asked for with the true turns before it, greedily, and compared with what the
generator says it should be. Names, values and wordings are those that training never sees. The generator reads a system
prompt as the server does; `--filler off` shows what the model says before a call when the server does not see to it.
"""

import argparse
import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from benchmarks.callers import ONE_LETTER
from server.nano.train.corpus import Conversation, conversation

# measure -> least share asked of the shipped weights
TARGETS = {
    "right tool": 0.95,
    "arguments exact": 0.90,
    "filler when asked, one sentence of at most 12 words": 0.98,
    "content null when not asked": 0.98,
    "no call when no tool fits": 0.90,
    "JSON: asked keys, right values": 0.90,
    "result repeated faithfully": None,
    "asks back when an argument is missing": None,
}
SPEED_TARGET = 60.0  # tokens per second of one stream
SENTENCE_END = re.compile(r"[.!?।…]+(?=\s|$)")


@dataclass(frozen=True)
class Question:
    """Assistant turn `index` of a conversation."""

    conversation: Conversation
    index: int

    @property
    def kind(self) -> str:
        return self.conversation.kinds[self.index]

    @property
    def expected(self) -> dict[str, Any]:
        return self.conversation.messages[self.index]


def questions(count: int) -> list[Question]:
    """All turns of `count` held-out conversations."""
    examples = (conversation(number, held_out=True) for number in range(count))
    return [Question(example, index) for example in examples for index in example.kinds]


def judge(question: Question, message: ChatCompletionMessage) -> Iterable[tuple[str, bool]]:
    """The measures that the turn counts for, each with whether `message` passes."""
    calls = [(call.function.name, _parsed(call.function.arguments)) for call in message.tool_calls or ()]
    if question.kind == "call":
        yield from _judge_call(question, message.content, calls)
    elif question.kind == "no_tool":
        yield "no call when no tool fits", not calls
    elif question.kind == "clarify":
        yield "asks back when an argument is missing", not calls and bool(message.content)
    elif question.kind == "json":
        yield "JSON: asked keys, right values", _parsed(message.content) == json.loads(question.expected["content"])
    elif question.kind == "result":
        facts = question.conversation.facts[question.index]
        yield "result repeated faithfully", all(fact in (message.content or "") for fact in facts)


def _judge_call(question: Question, content: str | None, calls: list[tuple[str, Any]]) -> Iterable[tuple[str, bool]]:
    expected = [call["function"] for call in question.expected["tool_calls"]]
    yield "right tool", [name for name, _ in calls] == [call["name"] for call in expected]
    yield "arguments exact", calls == [(call["name"], call["arguments"]) for call in expected]
    if question.conversation.wants_filler:
        yield "filler when asked, one sentence of at most 12 words", is_filler(content)
    else:
        yield "content null when not asked", content is None


def is_filler(content: str | None) -> bool:
    """One sentence of at most 12 words. A dot inside a number or a name ends no sentence."""
    text = (content or "").strip()
    return bool(text) and len(text.split()) <= 12 and len(SENTENCE_END.findall(text)) == 1


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


async def ask(client: AsyncOpenAI, model: str, question: Question, filler: str) -> ChatCompletionMessage:
    tools = question.conversation.tools
    extra: dict[str, Any] = {"tools": tools} if tools else {}
    if question.kind == "json":
        extra["response_format"] = {"type": "json_object"}
    answer: ChatCompletion = await client.chat.completions.create(
        model=model,
        messages=[_wire_form(message) for message in question.conversation.messages[: question.index]],
        temperature=0,
        max_tokens=256,
        extra_body={"filler": filler},
        **extra,
    )
    return answer.choices[0].message


def _wire_form(message: dict[str, Any]) -> Any:
    """Arguments as the JSON string that OpenAI's clients send."""
    calls = [
        {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return {**message, "tool_calls": calls} if calls else message


async def evaluate(
    client: AsyncOpenAI, model: str, asked: list[Question], at_once: int, filler: str
) -> dict[str, list[bool]]:
    """Passes and failures per measure, `at_once` requests in flight."""
    marks: dict[str, list[bool]] = defaultdict(list)
    gate = asyncio.Semaphore(at_once)

    async def one(question: Question) -> None:
        async with gate:
            message = await ask(client, model, question, filler)
        for measure, passed in judge(question, message):
            marks[measure].append(passed)

    await asyncio.gather(*(one(question) for question in asked))
    return marks


async def speed(client: AsyncOpenAI, model: str, tokens: int = 256) -> float:
    """Tokens per second of one stream between its first and its last piece."""
    stream = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hello, how are you?"}],
        max_tokens=tokens,
        stream=True,
        logit_bias=ONE_LETTER,
    )
    times = [time.perf_counter() async for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    return (tokens - 1) / (times[-1] - times[0])


def table(marks: dict[str, list[bool]], tokens_per_second: float) -> str:
    rows = ["| measure, greedy, held-out | turns | score | asked |", "|---|---|---|---|"]
    for measure, target in TARGETS.items():
        passed = marks.get(measure, [])
        score = f"{100 * sum(passed) / len(passed):.1f} %" if passed else "-"
        rows.append(f"| {measure} | {len(passed)} | {score} | {f'{100 * target:.0f} %' if target else '-'} |")
    rows.append(f"| tokens per second of one stream | - | {tokens_per_second:.0f} | {SPEED_TARGET:.0f} |")
    return "\n".join(rows)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nano_eval", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--key", default="sk_none")
    parser.add_argument("--model", default="electron")
    parser.add_argument("--conversations", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--filler", choices=("auto", "off"), default="auto")
    arguments = parser.parse_args()
    client = AsyncOpenAI(base_url=arguments.url, api_key=arguments.key, timeout=600)
    tokens_per_second = await speed(client, arguments.model)
    asked = questions(arguments.conversations)
    marks = await evaluate(client, arguments.model, asked, arguments.at_once, arguments.filler)
    print(table(marks, tokens_per_second))


if __name__ == "__main__":
    asyncio.run(main())
