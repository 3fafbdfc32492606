"""The stream begins with the truth, keeps its connection alive and stops with its caller."""

import asyncio
from collections.abc import AsyncGenerator

import orjson
import pytest
from starlette.types import Message

from server.api.sse import PING, EventStream
from server.errors import EngineFailed, InvalidRequest, ServerError


class Caller:
    """The ASGI server's side of one request."""

    def __init__(self) -> None:
        self.hang_ups = 0
        self.observed: list[ServerError] = []
        self.sent: list[Message] = []
        self.gone = asyncio.Event()

    def hang_up(self) -> None:
        self.hang_ups += 1

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, chunks: AsyncGenerator[bytes, None], ping_interval: float = 60.0) -> None:
        stream = EventStream(chunks, self.hang_up, ping_interval, "id", self.observed.append)
        await stream({"type": "http"}, self.receive, self.send)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


async def test_chunks_arrive_as_they_come_and_the_stream_ends() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"a"
        yield b"b"

    caller = Caller()
    await caller.run(chunks())
    assert caller.status == 200
    assert caller.headers[b"content-type"].startswith(b"text/event-stream")
    assert caller.headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in caller.headers
    assert [message["body"] for message in caller.sent[1:]] == [b"a", b"b", b""]
    assert [message["more_body"] for message in caller.sent[1:]] == [True, True, False]


async def test_an_error_before_the_first_chunk_has_its_own_status() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        raise InvalidRequest("no")
        yield b""

    caller = Caller()
    await caller.run(chunks())
    assert caller.status == 400
    assert [error.message for error in caller.observed] == ["no"]
    assert orjson.loads(caller.body)["error"] == {"message": "no", "type": "invalid_request_error", "request_id": "id"}


@pytest.mark.parametrize(
    ("error", "type_"), [(EngineFailed("died"), "upstream_error"), (KeyError("x"), "server_error")]
)
async def test_an_error_after_the_first_chunk_is_one_event(error: Exception, type_: str) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise error

    caller = Caller()
    await caller.run(chunks())
    assert caller.status == 200
    first, event, rest = caller.body.split(b"\n\n")
    assert (first, rest) == (b"data: 1", b"")
    name, data = event.split(b"\n")
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: "))["error"]["type"] == type_
    assert caller.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_unexpected_error_before_the_first_chunk_is_left_to_the_middleware() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        raise KeyError("x")
        yield b""

    caller = Caller()
    with pytest.raises(KeyError):
        await caller.run(chunks())
    assert caller.sent == []


async def test_silence_opens_the_stream_and_is_filled_with_pings() -> None:
    opened, release = asyncio.Event(), asyncio.Event()

    class Watching(Caller):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if message.get("body") == PING:
                opened.set()

    async def chunks() -> AsyncGenerator[bytes, None]:
        await release.wait()
        raise EngineFailed("died")
        yield b""

    caller = Watching()
    running = asyncio.create_task(caller.run(chunks(), ping_interval=0.01))
    await opened.wait()
    assert caller.status == 200
    release.set()
    await running
    assert caller.body.startswith(PING)
    assert b"event: error\n" in caller.body


async def test_a_caller_who_hangs_up_closes_the_generator() -> None:
    working, closed = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
            working.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    caller = Caller()
    running = asyncio.create_task(caller.run(chunks()))
    await working.wait()
    caller.gone.set()
    await running
    assert closed.is_set()
    assert caller.hang_ups == 1
    assert len(asyncio.all_tasks()) == 1  # this test alone: no watcher, no ping is left


async def test_a_server_that_stops_closes_the_generator() -> None:
    working, closed = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            working.set()
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.set()

    running = asyncio.create_task(Caller().run(chunks()))
    await working.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed.is_set()
