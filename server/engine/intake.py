"""What another process sends, read in the turn of the event loop in which it arrives."""

import asyncio
import os
from collections.abc import Callable, Sequence

import zmq

AT_ONCE = 16  # messages, before others have their turn


class Intake:
    """Reads a ZeroMQ socket that nobody else reads; pyzmq's own way costs a future and the wake-ups of tasks each time.

    take: is given every message, as its frames.
    """

    def __init__(self, socket: zmq.Socket[bytes], take: Callable[[Sequence[zmq.Frame]], None]) -> None:
        self._socket = socket
        self._take = take

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            ZMQError: the socket was closed.
            Exception: whatever `take` raises.
        """
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()

        def arrived() -> None:
            if failed.done():
                return
            try:
                if self._read():
                    loop.call_soon(arrived)
            except Exception as error:
                failed.set_exception(error)

        # Whoever closes the socket closes its descriptor, which the loop may not outlive: this one is its own.
        descriptor = os.dup(int(self._socket.getsockopt(zmq.FD)))
        loop.add_reader(descriptor, arrived)
        loop.call_soon(arrived)  # the descriptor tells of what comes, not of what is there
        try:
            await failed
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _read(self) -> bool:
        """Whether there may be more. If there is, nothing tells of it until all has been read."""
        for _ in range(AT_ONCE):
            try:
                frames = [self._socket.recv(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                return False
            while frames[-1].more:
                frames.append(self._socket.recv(copy=False))
            self._take(frames)
        return True
