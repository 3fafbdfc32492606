"""One request and its stream. Lean, so that the server is what is measured."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from benchmarks.voice.records import BARGE_IN, OK, UNFINISHED, Request
from server.telemetry.clause import ClauseWatch

CLAUSE = 20  # characters after which a comma, too, ends a clause, as in the server's own metric
EVENT = b"\n\n"
MARKUP = re.compile(r'</?\w+>|<\||\{\s*"')  # a tag, a special token, an object


@dataclass(slots=True)
class Heard:
    """What the answer was, for the history of the call."""

    text: str = ""
    calls: dict[int, dict[str, str]] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls:
            message["tool_calls"] = [
                {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": _object(call)}}
                for call in self.calls.values()
            ]
        return message


async def ask(client: httpx.AsyncClient, body: dict[str, Any], request: Request, barge_in: float | None) -> Heard:
    """Fills in `request`; never raises for what the server or the network does. barge_in: seconds after first words."""
    heard, started = Heard(), time.perf_counter()
    listener = _Listener(request, heard, lambda: (time.perf_counter() - started) * 1000)
    try:
        async with client.stream("POST", "chat/completions", json=body) as response:
            if response.status_code != 200:
                request.outcome = f"HTTP {response.status_code}"
            elif barge_in is None:
                await listener.all(response.aiter_bytes())
            else:
                await listener.until_barge_in(response.aiter_bytes(), barge_in)
    except httpx.TransportError as error:
        request.outcome = type(error).__name__
    except asyncio.CancelledError:
        request.outcome = UNFINISHED
        request.end = (time.perf_counter() - started) * 1000
        raise
    request.end = (time.perf_counter() - started) * 1000
    listener.finish()
    return heard


class _Listener:
    def __init__(self, request: Request, heard: Heard, clock: Callable[[], float]) -> None:
        self._request = request
        self._heard = heard
        self._clock = clock
        self._watch = ClauseWatch(CLAUSE)
        self._words = asyncio.Event()

    async def until_barge_in(self, stream: AsyncIterator[bytes], seconds: float) -> None:
        listening = asyncio.create_task(self.all(stream))
        words = asyncio.create_task(self._words.wait())
        await asyncio.wait((listening, words), return_when=asyncio.FIRST_COMPLETED)
        words.cancel()
        done, _ = await asyncio.wait((listening,), timeout=seconds)
        if done:
            return listening.result()  # the answer was over before the caller had enough
        listening.cancel()
        await asyncio.wait((listening,))
        self._request.outcome = BARGE_IN

    async def all(self, stream: AsyncIterator[bytes]) -> None:
        rest = b""
        async for data in stream:
            *events, rest = (rest + data).replace(b"\r\n", b"\n").split(EVENT)
            for event in events:
                self._event(event)
        self._request.outcome = self._request.outcome or "cut off"

    def finish(self) -> None:
        request = self._request
        if request.clause is None and request.outcome == OK and self._watch.finish():
            request.clause = request.end
        request.markup = bool(MARKUP.search(self._heard.text)) if self._heard.text else None
        if self._heard.calls:
            request.valid = all(_parses(call["arguments"]) for call in self._heard.calls.values())

    def _event(self, event: bytes) -> None:
        kind, data = b"", b""
        for line in event.split(b"\n"):
            kind = line[6:].strip() if line.startswith(b"event:") else kind
            data = line[5:].strip() if line.startswith(b"data:") else data
        if data == b"[DONE]":
            self._request.outcome = self._request.outcome or OK
        elif data:
            chunk = orjson.loads(data)
            if kind == b"error" or "error" in chunk:
                self._request.outcome = "error event"
            self._chunk(chunk)

    def _chunk(self, chunk: dict[str, Any]) -> None:
        for choice in chunk.get("choices") or ():
            self._delta(choice["delta"])
        if usage := chunk.get("usage"):
            self._request.prompt_tokens = usage["prompt_tokens"]
            self._request.output_tokens = usage["completion_tokens"]
            self._request.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0

    def _delta(self, delta: dict[str, Any]) -> None:
        text, calls = delta.get("content"), delta.get("tool_calls")
        if text and not text.strip():
            self._heard.text += text  # a space alone cannot be heard: it is no piece, whoever sends it by itself
            text = None
        if not text and not calls:
            return
        now, request = self._clock(), self._request
        request.pieces.append(now)
        request.first = now if request.first is None else request.first
        self._words.set()
        if text:
            self._heard.text += text
            if request.clause is None and self._watch.feed(text):
                request.clause = now
        for call in calls or ():
            self._call(call, now)

    def _call(self, piece: dict[str, Any], now: float) -> None:
        function = piece.get("function") or {}
        call = self._heard.calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] = piece.get("id") or call["id"]
        if function.get("name"):
            call["name"] = function["name"]
            self._request.call = now if self._request.call is None else self._request.call
            if self._request.clause is None and self._watch.finish():
                self._request.clause = now  # no more words come before the call
        call["arguments"] += function.get("arguments") or ""


def _parses(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


def _object(call: dict[str, str]) -> str:
    return call["arguments"] if _parses(call["arguments"]) else "{}"
