"""Around every request: headers that every answer has, and an envelope for whatever nobody caught."""

import logging
import uuid
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.errors import Observe, error_response
from server.errors import ServerError

logger = logging.getLogger("server.api")


class RequestContext:
    """Gives each request an id (`request.state.request_id`, header `X-Request-Id`), answers unexpected errors.

    ending: whether clients should take their next request elsewhere.

    Where a route has put a ticket into `request.state.ticket`, its headers go out too, whatever the answer is.
    """

    def __init__(self, app: ASGIApp, observe: Observe, ending: Callable[[], bool]) -> None:
        self.app = app
        self.observe = observe
        self.ending = ending

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
                if ticket := state.get("ticket"):
                    for name, value in ticket.headers.items():
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
