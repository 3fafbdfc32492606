"""Real generations before the first caller's, so that nobody waits for what happens at first use."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing

import orjson

from server.engine.base import Engine
from server.errors import InvalidRequest
from server.prompt import PromptBuilder
from server.protocol import Limits, parse_chat
from server.records import Prompt

logger = logging.getLogger("server.lifecycle")

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
    },
}
KINDS: tuple[Mapping[str, object], ...] = (
    {"ignore_eos": True},
    {"tools": [TOOL], "tool_choice": "required", "max_tokens": 64},  # room for the sentence before a call
    {"tools": [TOOL], "tool_choice": "required", "filler": {"strategy": "phrase"}},
    {"response_format": {"type": "json_object"}},
)


async def warm_up(prompts: PromptBuilder, engine: Engine, limits: Limits) -> None:
    """A plain answer, a tool call after words of both sorts, JSON: all that is compiled or loaded at first use, is."""
    for number, kind in enumerate(KINDS):
        try:
            prompt = await asyncio.to_thread(_prompt, prompts, limits, kind)
        except InvalidRequest as error:
            logger.info("not warmed up: %s", error.message)  # a chat template without tools, say
        else:
            await _generate(engine, prompt, f"warm-up-{number}")


def _prompt(prompts: PromptBuilder, limits: Limits, kind: Mapping[str, object]) -> Prompt:
    messages = [
        {"role": "system", "content": "You answer the phone."},
        {"role": "user", "content": "Hello, who is it?"},
    ]
    body = {"model": limits.models[0], "messages": messages, "max_tokens": 8, **kind}
    return prompts.chat(parse_chat(orjson.dumps(body), limits))


async def _generate(engine: Engine, prompt: Prompt, request_id: str) -> None:
    async with aclosing(engine.generate(prompt, request_id, lambda usage: None)) as deltas:
        async for _ in deltas:
            pass
