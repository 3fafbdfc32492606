"""Around every request: headers that every answer has, and an envelope for whatever nobody caught."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.admission.callers import Caller
from server.api.errors import Observe, error_response
from server.errors import ServerError

logger = logging.getLogger("server.api")


RateLimits = Callable[[Caller], Awaitable[Mapping[str, str]]]


class RequestContext:
    """Gives each request an id (`request.state.request_id`, header `X-Request-Id`), answers unexpected errors.

    ending: whether clients should take their next request elsewhere.
    rate_limits: headers for a caller who is known by his key. They go out whatever the answer is.
    """

    def __init__(self, app: ASGIApp, observe: Observe, ending: Callable[[], bool], rate_limits: RateLimits) -> None:
        self.app = app
        self.observe = observe
        self.ending = ending
        self.rate_limits = rate_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                if self.ending():
                    headers["Connection"] = "close"
                for name, value in (await self._rate_limits(state)).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            logger.exception("%s failed unexpectedly", request_id, extra={"request_id": request_id})
            error = ServerError("The server failed unexpectedly.")
            self.observe(error)
            if started:  # too late for a status: cutting the connection is the only honest sign left
                raise
            await error_response(error, request_id)(scope, receive, send_with_id)

    async def _rate_limits(self, state: Mapping[str, Any]) -> Mapping[str, str]:
        """From the ticket, if the limits were asked; they are asked now where the request did not get that far."""
        ticket, caller = state.get("ticket"), state.get("caller")
        if ticket and ticket.headers:
            headers: Mapping[str, str] = ticket.headers
            return headers
        return await self.rate_limits(caller) if caller else {}
