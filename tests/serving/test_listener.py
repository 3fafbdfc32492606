"""Connections that come to one socket are shared out among those who listen at it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.processes import NOT_LISTENING, seats
from server.serving.listener import SharedListener, listen
from server.settings import HttpSettings, SettingsError


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[int, list[SharedListener]]]:
    """Two, as two processes would."""
    (door,) = listen(HttpSettings(port=0))
    listeners, tasks = [], []
    for seat in seats(2, folder):
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        listener = SharedListener(config, seat.tally("connections"))
        listeners.append(listener)
        tasks.append(asyncio.create_task(listener.serve([door.dup()])))
        await until(lambda listener=listener: listener.started)
    yield door.getsockname()[1], listeners
    for listener in listeners:
        listener.should_exit = True
    await asyncio.gather(*tasks)
    door.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # of uvicorn's, which can only be looked at
            await asyncio.sleep(0.01)


async def ask(port: int, stack: AsyncExitStack) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return await reader.readline()


def connections(listeners: list[SharedListener]) -> list[int]:
    return [len(listener.server_state.connections) for listener in listeners]


async def test_each_gets_as_many_as_the_other(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, listeners), AsyncExitStack() as stack:
        for _ in range(10):  # one after the other
            assert b"200" in await ask(port, stack)
        assert connections(listeners) == [5, 5]
        answers = await asyncio.gather(*(ask(port, stack) for _ in range(40)))
        assert all(b"200" in answer for answer in answers)
        assert sum(connections(listeners)) == 50


async def test_one_alone_takes_all_when_the_other_has_ended(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, listeners), AsyncExitStack() as stack:
        listeners[0].should_exit = True
        await until(lambda: listeners[0]._connections.mine == NOT_LISTENING)
        for _ in range(4):
            assert b"200" in await ask(port, stack)
        assert connections(listeners) == [0, 4]


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="Address already in use"):
        listen(HttpSettings(port=taken.getsockname()[1]))


def test_all_addresses_of_a_host_are_listened_at() -> None:
    with listen(HttpSettings(port=0))[0] as one:
        assert one.getsockname()[0] == "127.0.0.1"
