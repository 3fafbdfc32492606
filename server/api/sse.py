"""A stream of server-sent events that begins with the truth.

The status line waits for the first chunk, so that an error before it carries its own status code; but it waits no
longer than the ping interval, since clients and proxies take silence for death. From then on comments keep the
connection alive, and an error is one `error` event, after which the stream ends.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.api.connection import WRITE
from server.api.disconnect import CallerGone, unless_disconnected
from server.api.errors import Observe, error_response
from server.api.render import DONE
from server.errors import ServerError

logger = logging.getLogger("server.api")

PING = b": ping\n\n"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def error_event(error: ServerError, request_id: str) -> bytes:
    return b"event: error\ndata: " + orjson.dumps(error.envelope(request_id)) + b"\n\n"


class EventStream(Response):
    """Sends the chunks of a generator; closes it when the client goes away.

    hung_up: called at once when the client goes away.
    ping_interval: seconds of silence.
    observe: is told the error that ended the stream.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        hung_up: Callable[[], None],
        ping_interval: float,
        request_id: str,
        observe: Observe,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._chunks = chunks
        self._hung_up = hung_up
        self._ping_interval = ping_interval
        self._request_id = request_id
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(CallerGone):
            await unless_disconnected(receive, self._stream(scope, receive, send), self._hung_up)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = _Line(send, self.status_code, self.raw_headers, scope.get("extensions", {}).get(WRITE, {}).get("chunk"))
        failure: ServerError | None = None
        with pinging(line, self._ping_interval):
            try:
                async with aclosing(self._chunks) as chunks:
                    async for chunk in chunks:
                        await line.write(chunk, last=chunk.endswith(DONE))
            except ServerError as error:
                failure = error
            except Exception:
                if not line.open:
                    raise
                extra = {"request_id": self._request_id}
                logger.exception("%s failed unexpectedly in its stream", self._request_id, extra=extra)
                failure = ServerError("The server failed unexpectedly.")
        if failure:
            self._observe(failure)
        if failure and not line.open:
            await error_response(failure, self._request_id)(scope, receive, send)
            return
        if failure and not line.ended:
            await line.write(error_event(failure, self._request_id))
        await line.end()


@contextmanager
def pinging(line: "_Line", interval: float) -> Iterator[None]:
    task = asyncio.create_task(line.keep_alive(interval))
    try:
        yield
    finally:
        task.cancel()


class _Line:
    """The sending half of one response. Chunks and pings take turns at it.

    directly: the connection's short way for all but the first chunk; it says whether it took it.
    """

    def __init__(
        self,
        send: Send,
        status: int,
        headers: list[tuple[bytes, bytes]],
        directly: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.open = False
        self.ended = False
        self._send = send
        self._directly = directly
        self._turn = asyncio.Lock()
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._last_write = time.monotonic()

    async def write(self, chunk: bytes, last: bool = False) -> None:
        """`last`: it ends the response, in the same packet."""
        self._last_write = time.monotonic()
        if self.open and not last and self._directly and not self._turn.locked() and self._directly(chunk):
            return
        async with self._turn:
            if not self.open:
                await self._send(self._start)
                self.open = True
            self.ended = last
            await self._send({"type": "http.response.body", "body": chunk, "more_body": not last})

    async def keep_alive(self, interval: float) -> None:
        while True:
            silent = time.monotonic() - self._last_write
            if silent >= interval:
                await self.write(PING)
            else:
                await asyncio.sleep(interval - silent)

    async def end(self) -> None:
        if not self.ended:
            await self.write(b"", last=True)
