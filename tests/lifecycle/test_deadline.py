"""Every wait ends: by its deadline, by a cut, or by its caller."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from server.engine.deadline import Deadlines, Patience
from server.errors import DeadlineExceeded, Draining
from server.records import Delta

SOON = 0.01
NEVER = 3600.0


class Source:
    """Deltas until it is told to be silent."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.silent = asyncio.Event()
        self.closed = False

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        try:
            for _ in range(self.tokens):
                yield Delta("x", (1,), 1, 0)
            self.silent.set()
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def read(source: Source, patience: Patience, deadlines: Deadlines) -> None:
    with deadlines.open(patience) as deadline:
        async with aclosing(deadline.bound(source.deltas())) as deltas:
            async for _ in deltas:
                pass


@pytest.mark.parametrize(
    ("tokens", "patience", "expected"),
    [
        (0, Patience(SOON, NEVER), "no first token within 0.01 s"),
        (0, Patience(NEVER, SOON), "not complete within 0.01 s"),
        (1, Patience(SOON, 2 * SOON), "not complete within 0.02 s"),
    ],
)
async def test_a_deadline_says_which_one_it_was(tokens: int, patience: Patience, expected: str) -> None:
    source = Source(tokens)
    with pytest.raises(DeadlineExceeded, match=expected):
        await read(source, patience, Deadlines())
    assert source.closed


async def test_after_the_first_token_its_deadline_is_of_no_account() -> None:
    source, deadlines = Source(1), Deadlines()
    reading = asyncio.create_task(read(source, Patience(SOON, NEVER), deadlines))
    await source.silent.wait()
    done, _ = await asyncio.wait([reading], timeout=5 * SOON)
    assert not done
    deadlines.cut(Draining("now"))
    with pytest.raises(Draining):
        await reading


async def test_a_cut_reaches_all_that_wait() -> None:
    deadlines, sources = Deadlines(), [Source(1) for _ in range(5)]
    readers = [asyncio.create_task(read(source, Patience(NEVER, NEVER), deadlines)) for source in sources]
    for source in sources:
        await source.silent.wait()
    assert len(deadlines) == 5 and not deadlines.idle.is_set()
    deadlines.cut(Draining("now"))
    ends = await asyncio.gather(*readers, return_exceptions=True)
    assert all(isinstance(end, Draining) for end in ends)
    assert len(deadlines) == 0 and deadlines.idle.is_set()
    assert all(source.closed for source in sources)


async def test_a_cut_while_the_caller_reads_ends_the_next_wait() -> None:
    source, deadlines = Source(2), Deadlines()
    with deadlines.open(Patience(NEVER, NEVER)) as deadline:
        async with aclosing(deadline.bound(source.deltas())) as deltas:
            await anext(deltas)
            deadlines.cut(Draining("now"))
            with pytest.raises(Draining):
                await anext(deltas)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_a_caller_who_goes_is_not_taken_for_a_deadline() -> None:
    source = Source(1)
    reading = asyncio.create_task(read(source, Patience(NEVER, NEVER), Deadlines()))
    await source.silent.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert source.closed


async def test_of_a_cut_and_a_caller_who_goes_the_caller_wins() -> None:
    source, deadlines = Source(1), Deadlines()
    reading = asyncio.create_task(read(source, Patience(NEVER, NEVER), deadlines))
    await source.silent.wait()
    deadlines.cut(Draining("now"))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
