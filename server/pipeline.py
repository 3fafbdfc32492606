"""The way of a request through the house."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from server.admission.ticket import Ticket
from server.engine.base import Engine, never
from server.engine.deadline import Deadline, Deadlines, Patience
from server.parsing import Family, Filled, Parser, ParserEvent, make_parser, most_calls, turn_parser
from server.prompt import PromptBuilder
from server.protocol import ChatRequest, CompletionRequest
from server.records import (
    Delta,
    Event,
    Finish,
    FinishReason,
    GrammarState,
    PositionLogprobs,
    Prompt,
    Text,
    ToolCall,
    Warmed,
)
from server.settings import SpeechSettings
from server.telemetry.recorder import Recorder
from server.telemetry.requests import Caller, Meter
from server.telemetry.tracing import Call, Operation

AnyRequest = ChatRequest | CompletionRequest


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, joined.

    family: how the model writes. speech: what may reach the caller of it.
    workers: run what would hold up the event loop.
    deadlines: of the requests at work.
    """

    prompts: PromptBuilder
    engine: Engine
    family: Family
    speech: SpeechSettings
    workers: Executor
    recorder: Recorder
    deadlines: Deadlines

    async def run(
        self, request: AnyRequest, ticket: Ticket, request_id: str, headers: Mapping[str, str], patience: Patience
    ) -> AsyncGenerator[Event, None]:
        """The events of one answer; the last one is a Finish. Closing the generator stops the engine's work.

        headers: of the HTTP request, for traces.

        Raises:
            InvalidRequest: the prompt does not fit the window, or the template or the grammar refuses the request.
            Forbidden, RateLimited, Unavailable: not admitted.
            EngineFailed: the engine gave up.
            DeadlineExceeded: it took too long.
            Draining: the server went down meanwhile.
        """
        caller = Caller(ticket.account, ticket.key_id, ticket.plan)
        async with ticket:
            with (
                self.recorder.record(request_id, request.model, caller, _call(request, headers)) as meter,
                self.deadlines.open(patience) as deadline,
            ):
                try:
                    async with aclosing(self._answer(request, ticket, request_id, meter, deadline)) as events:
                        async for event in events:
                            meter.note(event)
                            yield event
                            if request.stream or isinstance(event, Finish):
                                meter.delivered()
                finally:
                    ticket.charge(meter.prompt_tokens + meter.completion_tokens)

    async def warm(
        self, request: ChatRequest, ticket: Ticket, request_id: str, headers: Mapping[str, str], patience: Patience
    ) -> Warmed:
        """Have the next turn of a conversation find its prompt in the prefix cache and its grammar compiled.

        The token that is generated on the way is neither returned nor billed.

        Raises:
            as `run` does.
        """
        caller = Caller(ticket.account, ticket.key_id, ticket.plan)
        async with ticket:
            with (
                self.recorder.record(request_id, request.model, caller, _call(request, headers)) as meter,
                self.deadlines.open(patience) as deadline,
            ):
                started = meter.clock()
                try:
                    state = await self._warm(request, ticket, request_id, meter, deadline)
                finally:
                    meter.completion_tokens = 0
                    ticket.charge(meter.prompt_tokens)
                meter.cause = "stop"
        return Warmed(meter.usage, state, meter.clock() - started)

    async def _warm(
        self, request: ChatRequest, ticket: Ticket, request_id: str, meter: Meter, deadline: Deadline
    ) -> GrammarState:
        loop = asyncio.get_running_loop()
        built, state = await deadline.wait(
            partial(loop.run_in_executor, self.workers, self.prompts.warm, request, ticket.cache_salt)
        )
        deltas = deadline.bound(self.engine.generate(_of(ticket, meter, built), request_id, meter.settle))
        async with aclosing(deltas):
            async for _ in deltas:
                ticket.first_token()
        return state

    async def _prompt(self, request: AnyRequest, ticket: Ticket, meter: Meter) -> Prompt:
        prompt = await asyncio.get_running_loop().run_in_executor(self.workers, self._built, request, ticket.cache_salt)
        # What a grammar let through has to come out whole, or it might be too short for its schema.
        markers_stay = isinstance(request, ChatRequest) and (self.family.special_tokens or prompt.grammar is not None)
        sampling = replace(prompt.sampling, skip_special_tokens=not markers_stay)
        return _of(ticket, meter, replace(prompt, sampling=sampling))

    def _built(self, request: AnyRequest, owner: str | None) -> Prompt:
        if isinstance(request, ChatRequest):
            return self.prompts.chat(request, owner)
        return self.prompts.completion(request)

    async def _answer(
        self, request: AnyRequest, ticket: Ticket, request_id: str, meter: Meter, deadline: Deadline
    ) -> AsyncGenerator[Event, None]:
        prompt = await deadline.wait(partial(self._prompt, request, ticket, meter))
        if prompt.filler and prompt.filler.at_once:
            meter.say_phrase()
            yield Text(prompt.filler.at_once)
        urgent = partial(_before_a_call, meter) if prompt.filler else never
        deltas = deadline.bound(self.engine.generate(prompt, request_id, meter.settle, urgent))
        parser = self._parser(request, prompt, meter)
        most = most_calls(request) if isinstance(request, ChatRequest) else None
        try:
            async with aclosing(deltas), aclosing(parsed(deltas, parser, meter, ticket.first_token, most)) as events:
                async for event in events:
                    yield event
        finally:
            meter.parse_failures = parser.failures
            meter.structured_failures = int(_guided(request) and meter.cause == "length")

    def _parser(self, request: AnyRequest, prompt: Prompt, meter: Meter) -> Parser:
        if isinstance(request, ChatRequest):
            parser = turn_parser(self.family, request, prompt, self.speech)
            return Filled(parser, prompt.filler, meter.say_phrase) if prompt.filler else parser
        return make_parser(self.family, tools=False, verbatim=True)


@dataclass(slots=True)
class _Turn:
    """What has to be carried from one event to the next."""

    most_calls: int | None
    calls: int = 0
    ended: bool = False  # by a call too many
    logprobs: list[PositionLogprobs] = field(default_factory=list)

    def pass_on(self, events: Iterable[ParserEvent]) -> Iterator[Event]:
        """Text takes along the logprobs of the tokens read since the last text."""
        for event in events:
            if isinstance(event, ToolCall):
                self.ended = self.calls == self.most_calls
                self.calls += not self.ended
            if self.ended:
                return
            yield Text(event.text, self.take_logprobs()) if isinstance(event, Text) and self.logprobs else event

    def take_logprobs(self) -> tuple[PositionLogprobs, ...]:
        taken = tuple(self.logprobs)
        self.logprobs.clear()
        return taken


async def parsed(
    deltas: AsyncGenerator[Delta, None],
    parser: Parser,
    meter: Meter,
    first_token: Callable[[], None],
    most_calls: int | None = None,
) -> AsyncGenerator[Event, None]:
    """Deltas in, events out, the last of them a Finish with the usage that the meter saw.

    most_calls: a further one ends the answer.
    """
    turn = _Turn(most_calls)
    reason: FinishReason = "stop"
    async for delta in deltas:
        if delta.token_ids and meter.first_token_at is None:
            first_token()
        meter.see(delta)
        turn.logprobs.extend(delta.logprobs)
        for event in turn.pass_on(parser.feed(delta.text)):
            yield event
        if turn.ended:
            break
        reason = delta.finish_reason or reason
    else:
        for event in turn.pass_on(parser.finish(cut_off=reason == "length")):
            yield event
    ended: FinishReason = "tool_calls" if turn.calls and reason == "stop" else reason
    finish = Finish(ended, meter.usage, turn.take_logprobs(), meter.speaker)
    meter.finish(finish)
    yield finish


def _of(ticket: Ticket, meter: Meter, prompt: Prompt) -> Prompt:
    """The prompt with what the engine has to know of whose it is."""
    return replace(prompt, cache_salt=ticket.cache_salt, priority=ticket.priority, trace_headers=meter.trace_headers)


def _before_a_call(meter: Meter) -> bool:
    """Words may be what the caller hears while a tool runs."""
    return meter.tool_calls == 0


def _guided(request: AnyRequest) -> bool:
    """Whether a grammar that is not one of calls shapes the whole answer."""
    return isinstance(request, ChatRequest) and request.response_format.kind != "text"


def _call(request: AnyRequest, headers: Mapping[str, str]) -> Call:
    operation: Operation = "chat" if isinstance(request, ChatRequest) else "text_completion"
    asked = {"max_tokens": request.output_limit, "seed": request.seed}
    parameters = {name: value for name, value in asked.items() if value is not None}
    return Call(operation, headers, {"temperature": request.temperature, "top_p": request.top_p, **parameters})
