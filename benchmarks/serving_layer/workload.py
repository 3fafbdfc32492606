"""What is asked: conversations under one long system prompt, so that every prompt but its last words is cached."""

import random
from collections.abc import Callable
from typing import Any, Literal

Kind = Literal["plain", "tools"]

ANSWER_TOKENS = 128
SYSTEM_TOKENS = 4000
SPEECH = (
    "Of course, I can look into that for you. The parcel left our depot this morning and it is on its way to your town."
    " It should reach you tomorrow before noon, and the driver will ring twice at the door. If nobody is at home he"
    " leaves a card in the letter box and comes again on the next working day. You may also choose a neighbour, a shop"
    " near by, or a safe place behind the house. Just tell me which of these you like best and I will note it down. "
)
CALL = (
    "Let me look that up for you, one moment please.\n<tool_call>\n"
    '{"name": "track_parcel", "arguments": {"number": "4711 0815 2342", "note": "The caller expects the parcel before'
    " noon, has moved house in spring, asks for a ring at the door and would take it from the neighbour, from the shop"
    ' near by or on the next working day as well if nobody hears the driver at the door this time"}}\n</tool_call>'
)
SCRIPTS = {1: SPEECH, 2: CALL}  # by the request's seed
SEEDS: dict[Kind, int] = {"plain": 1, "tools": 2}
WORDS = SPEECH.replace(",", "").replace(".", "").split()

TOOL = {
    "type": "function",
    "function": {
        "name": "track_parcel",
        "description": "Where a parcel is.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "string"}, "note": {"type": "string"}},
            "required": ["number"],
        },
    },
}
# Of ours alone: words before a call, without a grammar for them. `vllm serve` ignores the field.
TOOL_FIELDS: dict[str, Any] = {"tools": [TOOL], "filler": {"mode": "always", "strategy": "phrase"}}


def system_prompt(count: Callable[[str], int]) -> str:
    """Of 4,000 tokens. `count`: tokens of a text."""
    chance = random.Random(7)
    sentences = ["You are a voice agent."]
    while count(" ".join(sentences)) < SYSTEM_TOKENS:
        sentences += [f"{' '.join(chance.choices(WORDS, k=12)).capitalize()}." for _ in range(20)]
    return " ".join(sentences)


def conversation(system: str, number: int, turns: int, kind: Kind, model: str) -> list[dict[str, Any]]:
    """The bodies of its turns in order. What is answered is known beforehand: the worker follows a script."""
    chance = random.Random(number)
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
    bodies = []
    for _ in range(turns):
        messages.append({"role": "user", "content": f"{number}: {' '.join(chance.choices(WORDS, k=20))}?"})
        bodies.append(
            {
                "model": model,
                "messages": list(messages),
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": ANSWER_TOKENS,
                "temperature": 0.0,
                "seed": SEEDS[kind],
                **({"ignore_eos": True} if kind == "plain" else TOOL_FIELDS),
            }
        )
        messages.append({"role": "assistant", "content": SPEECH})
    return bodies
