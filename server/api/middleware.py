"""Around every request: an id, and an envelope for whatever nobody caught."""

import logging
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.errors import error_response
from server.errors import ServerError

logger = logging.getLogger("server.api")


class RequestContext:
    """Gives each request an id (`request.state.request_id`, header `X-Request-Id`), answers unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            logger.exception("%s failed unexpectedly", request_id)
            if started:  # too late for a status: cutting the connection is the only honest sign left
                raise
            response = error_response(ServerError("The server failed unexpectedly."), request_id)
            await response(scope, receive, send_with_id)
