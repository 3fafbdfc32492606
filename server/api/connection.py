"""One connection, bounded: in what a client may send before it is understood, and in what it may leave unread."""

import asyncio
import uuid
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.errors import HeadTooLarge, InvalidRequest, RequestTimeout
from server.settings import HttpSettings

WRITE = "electron.write"  # an extension of the scope: see `_Unhurried.write_chunk`
LINGER = 5.0  # seconds in which a client may go on with a body that is not wanted, so that it comes to read the answer


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which waits for ever for a head and for a reader, and takes heads of any size.

    A body is bounded by `read_json`. A client that stops reading is cut off without a word: it would not read that.
    """

    def __init__(self, *args: Any, http_settings: HttpSettings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settings = http_settings
        self._in_head = False
        self._message_ended = False  # in the bytes that came last
        self._head_bytes = 0
        self._unparsed = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.running: RequestResponseCycle | None = None  # the one that is answered; `cycle` is the one read last
        self._lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head_timer)
        self._head_timer = None
        _cancel(self._write_timer)
        self._write_timer = None
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._message_ended = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._between_requests:
            self._expect_head()
        if self._in_head and not self._message_ended:  # of a header without an end the parser says nothing
            self._unparsed += len(data)
            if self._unparsed > self._settings.max_head:
                self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes, self._unparsed = True, 0, 0
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._message_ended = True
        super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        _cancel(self._head_timer)
        self._head_timer = None
        super().on_headers_complete()
        transport = _Unhurried(self)
        self.cycle.transport = transport  # type: ignore[assignment]  # all that a cycle calls is there
        self.scope["extensions"] = {WRITE: {"chunk": transport.write_chunk}}

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def hang_up(self) -> None:
        """Close, but not while the client still sends: the kernel would then drop the answer that it has not read."""
        if self.running is None or not self.running.more_body or self.transport.is_closing():
            self.transport.close()
            return
        self._lingering = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        too_large = self._head_bytes > self._settings.max_head
        self._refuse(self._too_large() if too_large else InvalidRequest("This is not HTTP/1.1."))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._settings.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._write_timer)
        self._write_timer = None

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._settings.read_timeout, self._late)

    def _late(self) -> None:
        if self._in_head:
            self._refuse(RequestTimeout(f"No whole request arrived within {self._settings.read_timeout:g} s."))
        else:
            self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._settings.max_head:
            raise httptools.HttpParserError  # comes back as `send_400_response`

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"Request line and headers may have at most {self._settings.max_head} bytes.")

    def _refuse(self, error: InvalidRequest) -> None:
        """The envelope, then the end. In the middle of an answer only the end."""
        running = self.running
        broken_off = running is not None and running.more_body and not running.response_started
        if running is not None and broken_off:
            running.disconnected = True  # whatever it was about to say
            running.message_event.set()
        if self._between_requests or broken_off:
            request_id = str(uuid.uuid4())
            body = orjson.dumps(error.envelope(request_id))
            head = (
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
                f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[error.status] + head.encode() + body)
        self.transport.close()


class _Unhurried:
    """The transport as a request's cycle sees it. It does not know the cycle: neither would be freed at its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun = False
        self._head = b""  # of a chunked response: it goes out with the first chunk

    def write(self, data: bytes) -> None:
        running = self._connection.running
        if running is not None and running.chunked_encoding and not self._begun:
            self._begun, self._head = True, data
            return
        head, self._head = self._head, b""
        self._connection.transport.write(head + data)

    def write_chunk(self, body: bytes) -> bool:
        """More of a response that has begun; past ASGI, whose way costs as much as the text to be sent.

        False: not now. It has to go that way, which waits for the client.
        """
        running = self._connection.running
        if running is None or running.disconnected or not running.chunked_encoding:
            return False
        if self._connection.flow.write_paused:
            return False
        self._connection.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._connection.hang_up()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
