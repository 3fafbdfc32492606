"""Work that stops when its caller hangs up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

CLIENT_CLOSED_REQUEST = 499  # seen by nobody: the caller has gone

Result = TypeVar("Result")


class CallerGone(Exception):
    """The client closed the connection; nobody reads an answer."""


async def unless_disconnected(
    receive: Receive, work: Coroutine[Any, Any, Result], hung_up: Callable[[], None]
) -> Result:
    """Await `work`, cancelling it as soon as the connection is closed. The request body must have been read.

    hung_up: called in the turn of the event loop in which the client goes, before the work is cancelled and awaited.

    Raises:
        CallerGone: the client closed the connection first.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnect(receive, hung_up))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerGone
        return working.result()
    finally:
        watching.cancel()
        working.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnect(receive: Receive, hung_up: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    hung_up()
