"""A POST request to what it asks for and its ticket."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from server.api.body import read_json
from server.api.callers import caller_of
from server.lifecycle import Lifecycle
from server.protocol import ChatRequest, CompletionRequest, Limits
from server.protocol.responses import ErrorEnvelope
from server.settings import HttpSettings

PARSED_INLINE = 64 * 2**10  # bytes; a larger body would hold up the event loop for milliseconds

BYTES_PER_TOKEN = 4  # of a JSON body, roughly: good enough to tell a long prompt from a short one

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope} for status in (400, 401, 403, 408, 413, 415, 429, 500, 502, 503, 504)
}

Parsed = TypeVar("Parsed", ChatRequest, CompletionRequest)


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """For the document."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read_request(
    request: Request, parse: Callable[[bytes, Limits], Parsed], lifecycle: Lifecycle, http: HttpSettings
) -> Parsed:
    """The request, with its ticket in `request.state`.

    Raises:
        Unauthenticated, Unavailable, UnsupportedMediaType, BodyTooLarge, InvalidRequest: refused.
    """
    caller = caller_of(request, lifecycle)
    loaded = lifecycle.loaded
    body = await read_json(request, http.max_body, http.read_timeout)
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
