"""`POST …/chat/completions` and `POST …/completions`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.disconnect import CallerGone, unless_disconnected
from server.api.render import Answer, ChatRenderer, CompletionRenderer, Renderer
from server.api.sse import EventStream
from server.lifecycle import Lifecycle
from server.parsing import Collector, Message
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

AnyRequest = ChatRequest | CompletionRequest
Parsed = TypeVar("Parsed", ChatRequest, CompletionRequest)


def completions_router(lifecycle: Lifecycle, http: HttpSettings, models: Sequence[str]) -> APIRouter:
    """`models`: the served names, for the document."""
    router = APIRouter()
    error = {"model": ErrorEnvelope}

    def documented(schema: dict[str, Any], answer: type) -> dict[str, Any]:
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        errors = {status: error for status in (400, 413, 415, 500, 502, 503)}
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
        loaded = lifecycle.loaded
        body = await read_json(request, http.max_body)
        if len(body) <= PARSED_INLINE:
            return parse(body, loaded.limits)
        workers = loaded.pipeline.workers
        return await asyncio.get_running_loop().run_in_executor(workers, parse, body, loaded.limits)

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
        events = lifecycle.loaded.pipeline.run(parsed, request_id)
        if parsed.stream:
            return EventStream(_rendered(events, renderer.chunks), http.ping_interval, request_id)
        try:
            message = await unless_disconnected(request.receive, _whole(events))
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
