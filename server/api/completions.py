"""`POST …/chat/completions` and `POST …/completions`."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.admission.ticket import Ticket
from server.api.deadlines import patience_of
from server.api.disconnect import CLIENT_CLOSED_REQUEST, CallerGone, unless_disconnected
from server.api.reading import ERRORS, Reader, json_body
from server.api.render import Answer, ChatRenderer, CompletionRenderer, Renderer
from server.api.sse import EventStream
from server.lifecycle import Lifecycle
from server.parsing import Collector, Message
from server.pipeline import AnyRequest
from server.protocol import (
    chat_schema,
    completion_schema,
    parse_chat,
    parse_completion,
)
from server.protocol.responses import ChatCompletion, Completion
from server.records import Event
from server.settings import HttpSettings

STREAMED_EVENT = {
    "type": "object",
    "description": "data: a chunk as JSON, or [DONE]. event: `error` where data is the error's envelope.",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}


def completions_router(lifecycle: Lifecycle, reader: Reader, http: HttpSettings, models: Sequence[str]) -> APIRouter:
    """`models`: the served names, for the document."""
    router = APIRouter()

    def documented(schema: dict[str, Any], answer: type) -> dict[str, Any]:
        stream = {"text/event-stream": {"schema": STREAMED_EVENT}}
        return {
            "openapi_extra": json_body(schema),
            "responses": {200: {"model": answer, "content": stream}, **ERRORS},
            "response_class": Response,
        }

    @router.post("/chat/completions", **documented(chat_schema(models), ChatCompletion))
    async def chat_completions(request: Request) -> Response:
        """Answer a conversation, whole or as a stream of server-sent events."""
        parsed = await reader.read(request, parse_chat)
        return await _respond(request, parsed, ChatRenderer(_answer(request, parsed, "chatcmpl-")))

    @router.post("/completions", **documented(completion_schema(models), Completion))
    async def completions(request: Request) -> Response:
        """Continue a text. In it the markers of the chat template mean nothing."""
        parsed = await reader.read(request, parse_completion)
        return await _respond(request, parsed, CompletionRenderer(_answer(request, parsed, "cmpl-")))

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
        patience = patience_of(request.headers, http)
        events = lifecycle.loaded.pipeline.run(parsed, ticket, request_id, request.headers, patience)
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
