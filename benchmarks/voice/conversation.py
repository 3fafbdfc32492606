"""A call: it thinks, speaks, listens, answers tools, interrupts, and remembers."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.voice.client import Heard, ask
from benchmarks.voice.records import BARGE_IN, OK, Request
from benchmarks.voice.script import Script, Turn

SAMPLING = {"temperature": 1.0, "top_p": 1.0}
# Some servers take what a request leaves open from the model's generation_config.json, others do not.
FIXED_SAMPLING = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
# A model that calls where it was to speak is stopped by some servers, and read out by others.
FIXED_SPEECH = {"ignore_eos": True, "bad_words": ["<tool_call>"]}
# Of a call and the sentence before it: 100 characters of three bytes can be as many tokens, whatever they usually are.
CALL_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Manner:
    """How requests are made.

    fixed: answers have exactly the length that the script says, and are words drawn in the same way everywhere; for
        servers that take vLLM's fields. extra: fields of every request.
    """

    model: str = "electron"
    fixed: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


class Conversation:
    """under_way: how many calls there are now. going: whether to go on. done: told of every request when it is over."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        script: Script,
        manner: Manner,
        began: float,
        under_way: Callable[[], int],
        going: Callable[[], bool],
        done: Callable[[Request], None],
    ) -> None:
        self._client = client
        self._script = script
        self._manner = manner
        self._began = began
        self._under_way = under_way
        self._going = going
        self._done = done
        self.asking = False
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": script.system}]

    async def run(self) -> None:
        """Until the caller hangs up, which it also does after an error."""
        for index, turn in enumerate(self._script.turns):
            await asyncio.sleep(turn.think)
            self._messages.append({"role": "user", "content": turn.said})
            if turn.tool:
                request, heard = await self._request(index, turn, tool=True)
                if request.outcome != OK or not self._going():
                    return
                self._answer(heard)
            request, heard = await self._request(index, turn, tool=False)
            if request.outcome not in (OK, BARGE_IN) or not self._going():
                return
            self._messages.append(heard.message())

    def _answer(self, heard: Heard) -> None:
        """The result of the tool, or of none if the model did not call it."""
        self._messages.append(heard.message())
        for call in heard.calls.values():
            self._messages.append({"role": "tool", "tool_call_id": call["id"], "content": '{"status": "confirmed"}'})
        if not heard.calls:
            self._messages.append({"role": "user", "content": "Go on, please."})

    async def _request(self, index: int, turn: Turn, tool: bool) -> tuple[Request, Heard]:
        script, at = self._script, time.perf_counter() - self._began
        request = Request(script.number, index, script.tenant, at, self._under_way(), tool)
        self.asking = True
        try:
            heard = await ask(self._client, self._body(turn, tool), request, None if tool else turn.barge_in)
        finally:
            self.asking = False
            self._done(request)
        return request, heard

    def _body(self, turn: Turn, tool: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._manner.model,
            "messages": self._messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": turn.answer,
            **SAMPLING,
            **(FIXED_SAMPLING if self._manner.fixed else {}),
            **self._manner.extra,
        }
        if self._script.tools:
            body["tools"] = list(self._script.tools)
        if tool:
            body["max_tokens"] = CALL_TOKENS
            body["tool_choice"] = {"type": "function", "function": {"name": turn.tool}}
        elif self._manner.fixed:
            body |= {"min_tokens": turn.answer, **FIXED_SPEECH}
            body |= {"tool_choice": "none"} if self._script.tools else {}  # else a call would end it
        return body
