"""uvicorn's server as it is needed here."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from server.processes import NOT_LISTENING, Tally
from server.settings import HttpSettings, SettingsError

BACKLOG = 2048  # uvicorn's own
LOOK = 0.001  # seconds after which whoever has more connections than others looks whether one of them has acted...
LOOKS = 5  # ...and how often, before it acts itself
RETRY = 0.1  # seconds until the next attempt where the system had no descriptor left


class Listener(uvicorn.Server):
    """uvicorn without its answer to signals, which is to close the listener first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SharedListener(Listener):
    """One of several processes that accept from the same sockets: the one with the fewest connections does.

    The event loop's own way gives nearly all of them to whoever happens to wake first.

    connections: that are open.
    """

    def __init__(self, config: uvicorn.Config, connections: Tally) -> None:
        super().__init__(config)
        self._connections = connections
        self._joining: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self._count()
        for listener in sockets or ():
            listener.setblocking(False)
            self._await_next(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        await super().shutdown(sockets)
        self._connections.mine = NOT_LISTENING

    def _count(self) -> None:
        self._connections.mine = len(self.server_state.connections) + len(self._joining)

    def _await_next(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0 and not self.should_exit:
            asyncio.get_running_loop().add_reader(listener, self._arrived, listener)

    def _arrived(self, listener: socket.socket, looks: int = 0) -> None:
        """Somebody is at the door, unless another process has opened it meanwhile."""
        if self.should_exit:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._count()
        if self._connections.mine > self._connections.least and looks < LOOKS:
            loop.call_later(LOOK, self._arrived, listener, looks + 1)
            return
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass
        except OSError:
            loop.call_later(RETRY, self._await_next, listener)
            return
        else:
            self._join(connection)
        self._await_next(listener)

    def _join(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        self._count()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def listen(http: HttpSettings) -> Sequence[socket.socket]:
    """At every address that the host has.

    Raises:
        SettingsError: one of them cannot be had.
    """
    try:
        found = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        places = dict.fromkeys((family, address) for family, _, _, _, address in found)
        return [socket.create_server(address, family=family, backlog=BACKLOG) for family, address in places]
    except OSError as error:
        raise SettingsError(f"`http.host` {http.host}, `http.port` {http.port}: {error.strerror}") from None
