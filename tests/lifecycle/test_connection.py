"""A connection costs little, however its client behaves. Raw sockets against uvicorn with our protocol."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from server.api.connection import Connection
from server.settings import HttpSettings

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"
MAX_HEAD = 1024


class App:
    """Answers at once, without reading a body; streams without end, or never, where the path says so."""

    def __init__(self) -> None:
        self.sent = 0
        self.gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/never":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
            return
        length = [] if scope["path"] == "/endless" else [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        if not length:
            await self._flood(receive, send)
        else:
            await send({"type": "http.response.body", "body": b"ok"})

    async def _flood(self, receive: Receive, send: Send) -> None:
        flooding = asyncio.create_task(self._pour(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        flooding.cancel()
        self.gone.set()

    async def _pour(self, send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
            self.sent += 1000


@asynccontextmanager
async def listening(app: App, **options: float) -> AsyncIterator[int]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60)
    config.load()
    settings = HttpSettings(max_head=MAX_HEAD, **options)
    state = ServerState()

    def connection() -> Connection:
        return Connection(config=config, server_state=state, app_state={}, http_settings=settings)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answer(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


def status_and_type(response: bytes) -> tuple[int, str]:
    head, body = response.split(b"\r\n\r\n", 1)
    assert b"connection: close" in head and b"x-request-id: " in head
    return int(head.split()[1]), json.loads(body)["error"]["type"]


async def test_a_head_that_does_not_end_in_time() -> None:
    async with listening(App(), read_timeout=0.05) as port:
        assert status_and_type(await answer(port, b"GET / HTTP/1.1\r\nHost:")) == (408, "invalid_request_error")


@pytest.mark.parametrize("said", [b"", b"\r\n"])
async def test_a_connection_that_says_nothing_is_closed(said: bytes) -> None:
    async with listening(App(), read_timeout=0.05) as port:
        assert await answer(port, said) == b""


LARGE_HEADS = {
    "one header without an end": [b"GET / HTTP/1.1\r\nX: "] + [b"x" * 512] * 4,
    "a long header": [GET[:-2] + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n"],
    "many headers": [GET[:-2] + b"X: y\r\n" * MAX_HEAD + b"\r\n"],
    "a long path": [b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n"],
}


@pytest.mark.parametrize("pieces", LARGE_HEADS.values(), ids=LARGE_HEADS)
async def test_a_head_that_is_too_large(pieces: list[bytes]) -> None:
    async with listening(App()) as port:
        assert status_and_type(await answer(port, *pieces)) == (431, "invalid_request_error")


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
)
async def test_what_is_not_http_gets_the_envelope(garbage: bytes) -> None:
    async with listening(App()) as port:
        assert status_and_type(await answer(port, garbage)) == (400, "invalid_request_error")


async def test_a_body_that_is_not_http_gets_the_envelope_too() -> None:
    app = App()
    async with listening(app) as port:
        head = b"POST /never HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert status_and_type(await answer(port, head, b"not a size\r\n")) == (400, "invalid_request_error")
        await app.gone.wait()


async def test_pipelined_requests_are_answered_in_turn() -> None:
    async with listening(App(), read_timeout=0.1) as port:
        response = await answer(port, GET * 19 + LAST)
    assert response.count(b"HTTP/1.1 200 OK") == 20


async def test_an_answered_request_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        async with listening(App()) as port:
            await answer(port, GET * 19 + LAST)
        assert sum(type(one) is RequestResponseCycle for one in gc.get_objects()) <= 1  # of the closed connection
    finally:
        gc.enable()


async def test_who_pipelines_and_goes_is_gone_for_the_request_at_work_too() -> None:
    app = App()
    async with listening(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(b"/", b"/never", 1) + GET)
        await writer.drain()
        writer.close()
        await app.gone.wait()


async def test_the_answer_reaches_a_client_that_still_sends() -> None:
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        for _ in range(64):  # beyond what the kernels hold
            writer.write(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
            await writer.drain()
        assert (await reader.read()).endswith(b"ok")
        writer.close()


async def test_a_body_that_nobody_reads_is_not_taken_for_a_head() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (4 * MAX_HEAD)
    async with listening(App(), read_timeout=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        for _ in range(4):
            writer.write(b"x" * MAX_HEAD)
            await writer.drain()
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_who_stops_reading_is_cut_off_and_holds_up_nobody() -> None:
    app = App()
    async with listening(app, write_timeout=0.2, read_timeout=0.2) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(GET.replace(b"/", b"/endless", 1))
        assert (await answer(port, LAST)).endswith(b"ok")
        await app.gone.wait()
        writer.close()
    assert app.sent < 16 * 2**20  # what the two kernels and one buffer hold
