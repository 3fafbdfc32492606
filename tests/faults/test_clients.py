"""Clients that vanish, and a server without file descriptors: others are served, and nothing is left behind."""

import asyncio
import contextlib
import socket
import struct

import httpx
import orjson
import psutil
import pytest

from benchmarks.callers import COMPLETE, at_rest, body, call, outcomes, talk
from tests.conftest import Server
from tests.lifecycle.processes import gauge, until

LINES = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
HEAD = LINES + b"\r\n"


def request_bytes(stream: bool, key: str | None) -> bytes:
    content = orjson.dumps(talk(stream=stream))
    known = f"Authorization: {key}\r\n".encode() if key else b""
    return LINES % len(content) + known + b"\r\n" + content


class Stages:
    """How far a request has come when its connection is reset: bytes sent, and bytes of the answer waited for."""

    sent = (0, 10, len(HEAD) + 20, 10**6)
    received = (0, 1, 2000)


async def reset(server: Server, data: bytes, received: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    linger = struct.pack("ii", 1, 0)  # close with RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.write(data)
    await writer.drain()
    if received:
        await reader.readexactly(received)
    writer.transport.abort()


async def reset_at_every_stage(server: Server, stream: bool, key: str | None = None) -> None:
    """key: the header `Authorization`."""
    data = request_bytes(stream, key)
    resets = [reset(server, data[:sent], 0) for sent in Stages.sent for _ in range(5)]
    if stream:
        resets += [reset(server, data, received) for received in Stages.received for _ in range(5)]
    async with asyncio.timeout(60):
        await asyncio.gather(*resets)


@pytest.mark.parametrize("stream", [True, False])
async def test_connections_reset_at_every_stage(server: Server, stream: bool) -> None:
    await reset_at_every_stage(server, stream)
    async with httpx.AsyncClient(base_url=server.root, timeout=60) as client:
        assert await at_rest(client) == {}


async def test_pipelined_requests_are_answered_in_turn(server: Server) -> None:
    contents = [orjson.dumps(body(number, max_tokens=1)) for number in range(4)]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"".join(HEAD % len(content) + content for content in contents))
    async with asyncio.timeout(60):
        for _ in contents:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
            assert b'"chat.completion"' in await reader.readexactly(int(length.split()[1]))
    writer.close()


async def all_at_work(client: httpx.AsyncClient) -> bool:
    return await gauge(client, "electron_requests_in_flight") == 3


async def test_without_file_descriptors_running_calls_go_on(server: Server) -> None:
    """New connections have to wait; they are taken as soon as there is room."""
    process = psutil.Process(server.process.pid)
    limits = process.rlimit(psutil.RLIMIT_NOFILE)
    held: list[socket.socket] = []
    async with httpx.AsyncClient(base_url=server.root, timeout=120) as client:
        running = [asyncio.create_task(call(client, talk(number, tokens=150))) for number in range(3)]
        await until(lambda: all_at_work(client))
        try:
            process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 2, limits[1]))
            for _ in range(10):
                held.append(socket.create_connection(("127.0.0.1", server.port)))
            late = asyncio.create_task(call(client, body(9, max_tokens=2)))
            assert outcomes(await asyncio.gather(*running)) == {COMPLETE: 3}
        finally:
            process.rlimit(psutil.RLIMIT_NOFILE, limits)
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.close()
        assert (await late).outcome == COMPLETE
        assert await at_rest(client) == {}
