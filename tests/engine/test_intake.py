"""Messages of another process are taken in order, whole, and none is left lying."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import zmq

from server.engine.intake import AT_ONCE, Intake

Sockets = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    context = zmq.Context()
    receiver, sender = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    receiver.bind("inproc://core")
    sender.connect("inproc://core")
    yield sender, receiver
    context.destroy(linger=0)


async def test_every_message_comes_once_and_in_order(sockets: Sockets) -> None:
    sender, receiver = sockets
    taken: asyncio.Queue[list[bytes]] = asyncio.Queue()

    async def come(count: int) -> list[list[bytes]]:
        async with asyncio.timeout(10):
            return [await taken.get() for _ in range(count)]

    sent = [[b"before", b"it"], *([b"%d" % number, b"x"] for number in range(3 * AT_ONCE))]
    sender.send_multipart(sent[0])
    intake = Intake(receiver, lambda frames: taken.put_nowait([frame.bytes for frame in frames]))
    running = asyncio.create_task(intake.run())
    assert await come(1) == sent[:1]
    for message in sent[1 : 2 * AT_ONCE]:
        sender.send_multipart(message)
    assert await come(2 * AT_ONCE - 1) == sent[1 : 2 * AT_ONCE]
    for message in sent[2 * AT_ONCE :]:  # one by one, after all has been read
        sender.send_multipart(message)
        await asyncio.sleep(0)
    assert await come(len(sent) - 2 * AT_ONCE) == sent[2 * AT_ONCE :]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    sender.send(b"later")
    await asyncio.sleep(0.01)
    assert taken.empty()


async def test_what_fails_while_a_message_is_taken_is_raised(sockets: Sockets) -> None:
    sender, receiver = sockets

    def take(frames: Sequence[zmq.Frame]) -> None:
        raise ValueError(frames[0].bytes)

    sender.send(b"bad")
    with pytest.raises(ValueError, match="bad"):
        await asyncio.wait_for(Intake(receiver, take).run(), 10)


async def test_a_socket_that_was_closed_is_an_error(sockets: Sockets) -> None:
    sender, receiver = sockets
    running = asyncio.create_task(Intake(receiver, lambda frames: receiver.close()).run())
    sender.send(b"last")
    with pytest.raises(zmq.ZMQError):
        await asyncio.wait_for(running, 10)
