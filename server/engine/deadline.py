"""By when a request must be answered, and the one place from which all of them can be ended."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from server.errors import DeadlineExceeded, ServerError
from server.records import Delta

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds from admission."""

    first_token: float
    total: float


class Deadline:
    """Of one request, used by one task. It ends what the request waits for, not the time in which its caller reads."""

    def __init__(self, patience: Patience) -> None:
        loop = asyncio.get_running_loop()
        self._patience = patience
        self._end = loop.time() + patience.total
        self._answered = False
        self._error: ServerError | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._timer = loop.call_later(min(patience.first_token, patience.total), self._expire)

    def first_token(self) -> None:
        """It has come: from here on only the end counts."""
        self._answered = True
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._end, self._expire)

    def cut(self, error: ServerError) -> None:
        """End the wait that is on, or the next one, with this error. A second call changes nothing."""
        if self._error is None:
            self._error = error
            if self._waiting is not None:
                self._waiting.cancel()

    async def wait(self, start: Callable[[], Awaitable[Result]]) -> Result:
        """What is begun and awaited here, or an end to it.

        Raises:
            DeadlineExceeded: it lasts longer than it may.
            ServerError: the one that the request was cut with.
        """
        if self._error is not None:
            raise self._error
        task = asyncio.current_task()
        assert task is not None
        self._waiting = task
        try:
            return await start()
        except asyncio.CancelledError:
            if self._error is None or task.uncancel() > 0:  # the caller went
                raise
            raise self._error from None
        finally:
            self._waiting = None

    async def bound(self, deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Delta, None]:
        """The same deltas, each awaited no longer than it may take. Closes their source with itself.

        Raises:
            DeadlineExceeded, ServerError: as `wait` does.
        """
        async with aclosing(deltas):
            while True:
                try:
                    delta = await self.wait(deltas.__anext__)
                except StopAsyncIteration:
                    return
                if delta.token_ids and not self._answered:
                    self.first_token()
                yield delta

    def close(self) -> None:
        self._timer.cancel()

    def _expire(self) -> None:
        if self._answered or self._patience.total <= self._patience.first_token:
            message = f"The answer was not complete within {self._patience.total:g} s."
        else:
            message = f"There was no first token within {self._patience.first_token:g} s."
        self.cut(DeadlineExceeded(message))


class Deadlines:
    """Of all requests at work. `idle` is set while there are none."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self._open: set[Deadline] = set()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def open(self, patience: Patience) -> Iterator[Deadline]:
        """For one request, from its admission to its end."""
        deadline = Deadline(patience)
        self._open.add(deadline)
        self.idle.clear()
        try:
            yield deadline
        finally:
            deadline.close()
            self._open.discard(deadline)
            if not self._open:
                self.idle.set()

    def cut(self, error: ServerError) -> None:
        """End all of them, each with this error."""
        for deadline in tuple(self._open):
            deadline.cut(error)
