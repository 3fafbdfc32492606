"""What an account gets over all servers: what its plan says, and no more."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack

from benchmarks.callers import body, talk
from benchmarks.scale_out.house import AT_ONCE, CHAT, PER_MINUTE, House
from tests.lifecycle.processes import until

OK, REFUSED = 200, 429
WIDE = 12  # requests under way at once


async def minute(house: House) -> bool:
    """Twice as many requests as the plan allows in a minute."""
    headers, room = await house.account("minute", "minute"), asyncio.Semaphore(WIDE)

    async def ask(number: int) -> int:
        async with room:
            return (await house.client.post(CHAT, json=body(number, max_tokens=1), headers=headers)).status_code

    started = time.monotonic()
    found = Counter(await asyncio.gather(*(ask(number) for number in range(2 * PER_MINUTE))))
    took, admitted = time.monotonic() - started, await house.series("electron_requests_total", account="minute")
    print(f"{PER_MINUTE} requests a minute: {_said(found)}, in {took:.1f} s; admitted by {admitted}")
    return took < 60 and found == {OK: PER_MINUTE, REFUSED: PER_MINUTE} and all(admitted.values())


class Lines:
    """Streams of one account that are held open."""

    def __init__(self, house: House, headers: Mapping[str, str]) -> None:
        self._house = house
        self._headers = headers
        self._open: list[AsyncExitStack] = []

    async def take(self, number: int) -> int:
        """The status of one more."""
        stack = AsyncExitStack()
        context = self._house.client.stream("POST", CHAT, json=talk(number), headers=self._headers)
        answer = await stack.enter_async_context(context)
        if answer.status_code == OK:
            self._open.append(stack)
        else:
            await stack.aclose()
        return answer.status_code

    async def hang_up(self, count: int) -> None:
        await asyncio.gather(*(self._open.pop().aclose() for _ in range(count)))


async def line(house: House) -> bool:
    """Twice as many streams as the plan allows at once; then some hang up, and others come in."""
    lines = Lines(house, await house.account("line", "line"))
    first = Counter(await asyncio.gather(*(lines.take(number) for number in range(2 * AT_ONCE))))
    held = await house.series("electron_requests_in_flight")
    await lines.hang_up(2)
    await until(lambda: _fewer(house))
    then = Counter([await lines.take(number) for number in (101, 102, 103)])
    await lines.hang_up(AT_ONCE)
    print(f"{AT_ONCE} at once: {_said(first)}, held by {held}; after two had hung up: {_said(then)}")
    return (first, then) == ({OK: AT_ONCE, REFUSED: AT_ONCE}, {OK: 2, REFUSED: 1}) and all(held.values())


async def _fewer(house: House) -> bool:
    """A proxy takes a moment to tell that its caller has gone."""
    return sum((await house.series("electron_requests_in_flight")).values()) == AT_ONCE - 2


def _said(found: Counter[int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(found.items()))
