"""One tool turn as a caller hears it: what a server is seen to do before it is measured."""

import asyncio
import json
from typing import Any

import httpx

from benchmarks.voice.client import Heard, ask
from benchmarks.voice.records import OK, Request

WEATHER = {
    "name": "get_weather",
    "description": "Get the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TURN: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "You are a voice agent. Say a short sentence before using a tool."},
        {"role": "user", "content": "What's the weather in Pune?"},
    ],
    "tools": [{"type": "function", "function": WEATHER}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "max_tokens": 200,
    "stream": True,
}


def tool_turn(name: str, url: str, model: str, key: str) -> str:
    """A line. name, url: of the server, with the version in it."""
    return asyncio.run(_tool_turn(name, url, model, key))


async def _tool_turn(name: str, url: str, model: str, key: str) -> str:
    request = Request(number=0, turn=0, tenant=0, at=0.0, calls=1, tool=True)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600) as client:
        heard = await ask(client, {"model": model, **TURN}, request, None)
    said = ", ".join(_parts(request, heard)) if request.outcome == OK else request.outcome
    return f"{name}, a tool turn: {said}"


def _parts(request: Request, heard: Heard) -> list[str]:
    words = [f"{json.dumps(heard.text, ensure_ascii=False)} from {request.first:.0f} ms on"] if heard.text else []
    calls = [f"{call['name']} {call['arguments']} from {request.call:.0f} ms on" for call in heard.calls.values()]
    return words + calls or ["nothing"]
