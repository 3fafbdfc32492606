"""`POST …/chat/completions` and `POST …/completions`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.admission.ticket import Ticket
from server.api.body import read_json
from server.api.disconnect import CallerGone, unless_disconnected
from server.api.render import Answer, ChatRenderer, CompletionRenderer, Renderer
from server.api.sse import EventStream
from server.lifecycle import Lifecycle
from server.parsing import Collector, Message
from server.pipeline import AnyRequest
from server.protocol import (
    ChatRequest,
    CompletionRequest,
    Limits,
    chat_schema,
    completion_schema,
    parse_chat,
    parse_completion,
)
from server.protocol.responses import ChatCompletion, Completion, ErrorEnvelope
from server.records import Event
from server.settings import HttpSettings

CLIENT_CLOSED_REQUEST = 499  # seen by nobody: the caller has gone

STREAMED_EVENT = {
    "type": "object",
    "description": "data: a chunk as JSON, or [DONE]. event: `error` where data is the error's envelope.",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
PARSED_INLINE = 64 * 2**10  # bytes; a larger body would hold up the event loop for milliseconds

BYTES_PER_TOKEN = 4  # of a JSON body, roughly: good enough to tell a long prompt from a short one

Parsed = TypeVar("Parsed", ChatRequest, CompletionRequest)


def completions_router(lifecycle: Lifecycle, http: HttpSettings, models: Sequence[str]) -> APIRouter:
    """`models`: the served names, for the document."""
    router = APIRouter()
    error = {"model": ErrorEnvelope}

    def documented(schema: dict[str, Any], answer: type) -> dict[str, Any]:
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        errors = {status: error for status in (400, 401, 403, 413, 415, 429, 500, 502, 503)}
        stream = {"text/event-stream": {"schema": STREAMED_EVENT}}
        return {
            "openapi_extra": {"requestBody": body},
            "responses": {200: {"model": answer, "content": stream}, **errors},
            "response_class": Response,
        }

    @router.post("/chat/completions", **documented(chat_schema(models), ChatCompletion))
    async def chat_completions(request: Request) -> Response:
        """Answer a conversation, whole or as a stream of server-sent events."""
        parsed = await _read(request, parse_chat)
        return await _respond(request, parsed, ChatRenderer(_answer(request, parsed, "chatcmpl-")))

    @router.post("/completions", **documented(completion_schema(models), Completion))
    async def completions(request: Request) -> Response:
        """Continue a text. In it the markers of the chat template mean nothing."""
        parsed = await _read(request, parse_completion)
        return await _respond(request, parsed, CompletionRenderer(_answer(request, parsed, "cmpl-")))

    async def _read(request: Request, parse: Callable[[bytes, Limits], Parsed]) -> Parsed:
        """The request, with its ticket in `request.state`."""
        loaded = lifecycle.loaded
        caller = lifecycle.gate.identify(request.headers.get("authorization"))
        body = await read_json(request, http.max_body)
        if len(body) <= PARSED_INLINE:
            parsed = parse(body, loaded.limits)
        else:
            loop, workers = asyncio.get_running_loop(), loaded.pipeline.workers
            parsed = await loop.run_in_executor(workers, parse, body, loaded.limits)
        request.state.ticket = lifecycle.gate.ticket(
            caller,
            model=parsed.model,
            service_class=parsed.service_class or request.headers.get("x-service-class"),
            prompt_tokens_hint=len(body) // BYTES_PER_TOKEN,
        )
        return parsed

    def _answer(request: Request, parsed: AnyRequest, prefix: str) -> Answer:
        return Answer(
            id=prefix + request.state.request_id.replace("-", ""),
            created=int(time.time()),
            model=parsed.model,
            fingerprint=lifecycle.loaded.fingerprint,
            logprobs=parsed.alternatives is not None,
            include_usage=parsed.stream_options.include_usage,
        )

    async def _respond(request: Request, parsed: AnyRequest, renderer: Renderer) -> Response:
        request_id: str = request.state.request_id
        ticket: Ticket = request.state.ticket
        events = lifecycle.loaded.pipeline.run(parsed, ticket, request_id, request.headers)
        if parsed.stream:
            chunks, observe = _rendered(events, renderer.chunks), lifecycle.desk.metrics.refused
            return EventStream(chunks, ticket.release, http.ping_interval, request_id, observe)
        try:
            message = await unless_disconnected(request.receive, _whole(events), ticket.release)
        except CallerGone:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return Response(renderer.whole(message), media_type="application/json")

    return router


async def _rendered(
    events: AsyncGenerator[Event, None], chunks: Callable[[Event], list[bytes]]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            yield b"".join(chunks(event))


async def _whole(events: AsyncGenerator[Event, None]) -> Message:
    collector = Collector()
    async with aclosing(events):
        async for event in events:
            collector.add(event)
    return collector.message()
