"""Request bodies, read with a bound: of each, and of all together."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from server.errors import BodyTooLarge, InvalidRequest, RequestTimeout, Unavailable, UnsupportedMediaType
from server.processes import Tally

JSON = "application/json"
SMALL = 64 * 2**10  # bytes of every body that do not count: an ordinary call is heard whatever others send
CLOSE = {"Connection": "close"}  # what is left of a body would be taken for the next request on its connection

Grow = Callable[[int], None]


class BodyBudget:
    """Bytes that bodies may hold together, from their first chunk until they are understood.

    tally: of those of all processes; absent: there is but one.
    """

    def __init__(self, most: int, tally: Tally | None = None) -> None:
        self._most = most
        self._tally = tally or Tally()

    @property
    def held(self) -> int:
        return self._tally.total

    @contextmanager
    def share(self) -> Iterator[Grow]:
        """Of one body. It is told how many bytes that body has so far, and raises Unavailable."""
        mine = 0

        def grow(size: int) -> None:
            nonlocal mine
            more = max(0, size - SMALL) - mine
            others = self.held > mine  # a body larger than the bound is read when there is no other
            if more and others and self.held + more > self._most:
                error = Unavailable("Other large bodies are being read; the server takes no more of them now.")
                error.headers |= CLOSE
                raise error
            mine += more
            self._tally.mine += more

        try:
            yield grow
        finally:
            self._tally.mine -= mine


async def read_json(request: Request, max_bytes: int, patience: float, grow: Grow) -> bytes:
    """The body of a request that says it is JSON, or says nothing. `patience` in seconds.

    Raises:
        UnsupportedMediaType, BodyTooLarge, Unavailable: without reading further.
        RequestTimeout: the body did not come in time.
        InvalidRequest: the client went away in the middle of its body.
    """
    media_type = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}, got {media_type[:80]}.")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
                grow(len(body))
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {patience:g} s.", headers=CLOSE) from None
    except ClientDisconnect:
        raise InvalidRequest("The request ended before its body did.") from None
    return bytes(body)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {max_bytes} bytes.", headers=CLOSE)
