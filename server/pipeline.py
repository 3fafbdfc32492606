"""The way of a request through the house."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field

from server.admission.gate import Gate
from server.engine.base import Engine
from server.parsing import Parser, make_parser
from server.prompt import PromptBuilder
from server.protocol import ChatRequest, CompletionRequest
from server.records import Delta, Event, Finish, FinishReason, PositionLogprobs, Prompt, Text, ToolCall
from server.telemetry.requests import Clock, Meter, Sink, metered


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, joined.

    tool_format: the family of parsers.
    workers: run what would hold up the event loop.
    """

    prompts: PromptBuilder
    engine: Engine
    gate: Gate
    tool_format: str
    workers: Executor
    clock: Clock
    sink: Sink

    async def run(self, request: ChatRequest | CompletionRequest, request_id: str) -> AsyncGenerator[Event, None]:
        """The events of one answer; the last one is a Finish. Closing the generator stops the engine's work.

        Raises:
            InvalidRequest: the prompt does not fit the window, or the template or the grammar refuses the request.
            Unavailable: no room for one more request.
            EngineFailed: the engine gave up.
        """
        with self.gate.admit(), metered(request_id, request.model, self.clock, self.sink) as meter:
            prompt = await asyncio.get_running_loop().run_in_executor(self.workers, self._prompt, request)
            parser = self._parser(request)
            async with (
                aclosing(self.engine.generate(prompt, request_id)) as deltas,
                aclosing(parsed(deltas, parser, meter)) as events,
            ):
                async for event in events:
                    yield event

    def _prompt(self, request: ChatRequest | CompletionRequest) -> Prompt:
        if isinstance(request, ChatRequest):
            return self.prompts.chat(request)
        return self.prompts.completion(request)

    def _parser(self, request: ChatRequest | CompletionRequest) -> Parser:
        if isinstance(request, CompletionRequest):
            return make_parser(self.tool_format, tools=False, verbatim=True)
        tools = bool(request.tools) and request.tool_choice != "none"
        return make_parser(self.tool_format, tools=tools, verbatim=request.response_format.kind != "text")


@dataclass(slots=True)
class _Turn:
    """What has to be carried from one event to the next."""

    calls: int = 0
    logprobs: list[PositionLogprobs] = field(default_factory=list)

    def pass_on(self, event: Event) -> Event:
        """Text takes along the logprobs of the tokens read since the last text."""
        self.calls += isinstance(event, ToolCall)
        return Text(event.text, self.take_logprobs()) if isinstance(event, Text) and self.logprobs else event

    def take_logprobs(self) -> tuple[PositionLogprobs, ...]:
        taken = tuple(self.logprobs)
        self.logprobs.clear()
        return taken


async def parsed(deltas: AsyncGenerator[Delta, None], parser: Parser, meter: Meter) -> AsyncGenerator[Event, None]:
    """Deltas in, events out, the last of them a Finish."""
    turn = _Turn()
    reason: FinishReason = "stop"
    async for delta in deltas:
        meter.see(delta)
        turn.logprobs.extend(delta.logprobs)
        for event in parser.feed(delta.text):
            yield turn.pass_on(event)
        reason = delta.finish_reason or reason
    for event in parser.finish():
        yield turn.pass_on(event)
    finish = Finish("tool_calls" if turn.calls and reason == "stop" else reason, meter.usage, turn.take_logprobs())
    meter.finish(finish)
    yield finish
