"""The way of a request through the house."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from server.admission.ticket import Ticket
from server.engine.base import Engine
from server.parsing import Parser, make_parser
from server.prompt import PromptBuilder
from server.protocol import ChatRequest, CompletionRequest
from server.records import Delta, Event, Finish, FinishReason, PositionLogprobs, Prompt, Text, ToolCall
from server.telemetry.recorder import Recorder
from server.telemetry.requests import Caller, Meter
from server.telemetry.tracing import Call, Operation

AnyRequest = ChatRequest | CompletionRequest


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, joined.

    tool_format: the family of parsers.
    workers: run what would hold up the event loop.
    """

    prompts: PromptBuilder
    engine: Engine
    tool_format: str
    workers: Executor
    recorder: Recorder

    async def run(
        self, request: AnyRequest, ticket: Ticket, request_id: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[Event, None]:
        """The events of one answer; the last one is a Finish. Closing the generator stops the engine's work.

        headers: of the HTTP request, for traces.

        Raises:
            InvalidRequest: the prompt does not fit the window, or the template or the grammar refuses the request.
            Forbidden, RateLimited, Unavailable: not admitted.
            EngineFailed: the engine gave up.
        """
        caller = Caller(ticket.account, ticket.key_id, ticket.plan)
        async with ticket:
            with self.recorder.record(request_id, request.model, caller, _call(request, headers)) as meter:
                try:
                    async with aclosing(self._answer(request, ticket, request_id, meter)) as events:
                        async for event in events:
                            meter.note(event)
                            yield event
                            if request.stream or isinstance(event, Finish):
                                meter.delivered()
                finally:
                    ticket.charge(meter.prompt_tokens + meter.completion_tokens)

    async def _prompt(self, request: AnyRequest, ticket: Ticket, meter: Meter) -> Prompt:
        prompt = await asyncio.get_running_loop().run_in_executor(self.workers, self._built, request)
        return replace(
            prompt, cache_salt=ticket.cache_salt, priority=ticket.priority, trace_headers=meter.trace_headers
        )

    def _built(self, request: AnyRequest) -> Prompt:
        if isinstance(request, ChatRequest):
            return self.prompts.chat(request)
        return self.prompts.completion(request)

    async def _answer(
        self, request: AnyRequest, ticket: Ticket, request_id: str, meter: Meter
    ) -> AsyncGenerator[Event, None]:
        prompt = await self._prompt(request, ticket, meter)
        deltas = self.engine.generate(prompt, request_id, meter.settle)
        parser = self._parser(request)
        try:
            async with aclosing(deltas), aclosing(parsed(deltas, parser, meter, ticket.first_token)) as events:
                async for event in events:
                    yield event
        finally:
            meter.parse_failures = parser.failures
            meter.structured_failures = int(_guided(request) and meter.cause == "length")

    def _parser(self, request: AnyRequest) -> Parser:
        if isinstance(request, CompletionRequest):
            return make_parser(self.tool_format, tools=False, verbatim=True)
        tools = bool(request.tools) and request.tool_choice != "none"
        return make_parser(self.tool_format, tools=tools, verbatim=_guided(request))


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


async def parsed(
    deltas: AsyncGenerator[Delta, None], parser: Parser, meter: Meter, first_token: Callable[[], None]
) -> AsyncGenerator[Event, None]:
    """Deltas in, events out, the last of them a Finish with the usage that the meter saw."""
    turn = _Turn()
    reason: FinishReason = "stop"
    async for delta in deltas:
        if delta.token_ids and meter.first_token_at is None:
            first_token()
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


def _guided(request: AnyRequest) -> bool:
    """Whether a grammar that is not one of calls shapes the whole answer."""
    return isinstance(request, ChatRequest) and request.response_format.kind != "text"


def _call(request: AnyRequest, headers: Mapping[str, str]) -> Call:
    operation: Operation = "chat" if isinstance(request, ChatRequest) else "text_completion"
    asked = {"max_tokens": request.output_limit, "seed": request.seed}
    parameters = {name: value for name, value in asked.items() if value is not None}
    return Call(operation, headers, {"temperature": request.temperature, "top_p": request.top_p, **parameters})
