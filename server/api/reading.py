"""A POST request to what it asks for and its ticket."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from server.api.body import SMALL, BodyBudget, read_json
from server.api.callers import caller_of
from server.lifecycle import Lifecycle, Loaded
from server.protocol import ChatRequest, CompletionRequest, Limits
from server.protocol.responses import ErrorEnvelope
from server.settings import HttpSettings

BYTES_PER_TOKEN = 4  # of a JSON body, roughly: good enough to tell a long prompt from a short one

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope} for status in (400, 401, 403, 408, 413, 415, 429, 500, 502, 503, 504)
}

Parsed = TypeVar("Parsed", ChatRequest, CompletionRequest)


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """For the document."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


class Reader:
    """Reads requests, and holds no more of their bodies at once than it may."""

    def __init__(self, lifecycle: Lifecycle, http: HttpSettings) -> None:
        self._lifecycle = lifecycle
        self._http = http
        self._bodies = BodyBudget(http.max_bodies, lifecycle.seat.tally("body_bytes"))

    async def read(self, request: Request, parse: Callable[[bytes, Limits], Parsed]) -> Parsed:
        """The request, with its ticket in `request.state`.

        Raises:
            Unauthenticated, Unavailable, UnsupportedMediaType, BodyTooLarge, InvalidRequest: refused.
        """
        caller = caller_of(request, self._lifecycle)
        loaded = self._lifecycle.loaded
        with self._bodies.share() as grow:
            body = await read_json(request, self._http.max_body, self._http.read_timeout, grow)
            parsed = await _parsed(body, parse, loaded)
        request.state.ticket = self._lifecycle.gate.ticket(
            caller,
            model=parsed.model,
            service_class=parsed.service_class or request.headers.get("x-service-class"),
            prompt_tokens_hint=len(body) // BYTES_PER_TOKEN,
        )
        return parsed


async def _parsed(body: bytes, parse: Callable[[bytes, Limits], Parsed], loaded: Loaded) -> Parsed:
    if len(body) <= SMALL:
        return parse(body, loaded.limits)
    loop = asyncio.get_running_loop()  # a large one would hold it up for milliseconds
    return await loop.run_in_executor(loaded.pipeline.workers, parse, body, loaded.limits)
