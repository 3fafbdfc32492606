"""`POST …/chat/completions/warm`: make a turn ready before the caller has spoken."""

import time
from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from server.admission.ticket import Ticket
from server.api.deadlines import patience_of
from server.api.disconnect import CLIENT_CLOSED_REQUEST, CallerGone, unless_disconnected
from server.api.reading import ERRORS, Reader, json_body
from server.lifecycle import Lifecycle
from server.protocol import chat_schema, parse_chat
from server.protocol.responses import Warming
from server.settings import HttpSettings


def warm_router(lifecycle: Lifecycle, reader: Reader, http: HttpSettings, models: Sequence[str]) -> APIRouter:
    """`models`: the served names, for the document."""
    router = APIRouter()

    @router.post(
        "/chat/completions/warm",
        openapi_extra=json_body(chat_schema(models)),
        responses={200: {"model": Warming}, **ERRORS},
        response_class=Response,
    )
    async def warm(request: Request) -> Response:
        """Compute what the next turn shares with this conversation, and compile the grammar of its answer.

        Takes the body of a chat completion, so far as it is known yet: system prompt and tools before a call. Fields
        that shape the answer's grammar must be those of that turn. Counts in the limits as a request does; prompt
        tokens are billed as always, output is not.
        """
        parsed = await reader.read(request, parse_chat)
        ticket: Ticket = request.state.ticket
        patience = patience_of(request.headers, http)
        work = lifecycle.loaded.pipeline.warm(parsed, ticket, request.state.request_id, request.headers, patience)
        try:
            warmed = await unless_disconnected(request.receive, work, ticket.release)
        except CallerGone:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        answer = Warming(
            id="warm-" + request.state.request_id.replace("-", ""),
            created=int(time.time()),
            model=parsed.model,
            prompt_tokens=warmed.usage.prompt_tokens,
            cached_tokens=warmed.usage.cached_tokens,
            grammar=warmed.grammar,
            duration=warmed.duration,
        )
        return Response(orjson.dumps(answer.model_dump()), media_type="application/json")

    return router
