"""What streams notice of an endpoint picker's scraper: windows without it and with it, in turn."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from benchmarks.callers import talk
from benchmarks.scale_out.house import CHAT, House
from benchmarks.voice.noise import paired
from benchmarks.voice.summary import quantile

ANSWER = 300  # tokens
SETTLING = 0.5  # seconds at the beginning of a window that do not count


@dataclass(slots=True)
class Window:
    """gaps: ms between the pieces of answers. cores: of the processor, that the servers' own processes took."""

    gaps: list[float] = field(default_factory=list)
    cores: float = 0.0
    seconds: float = 0.0

    def figures(self) -> dict[str, float]:
        half, most = (quantile(self.gaps, percent) or 0.0 for percent in (50, 99))
        pieces = len(self.gaps) / self.seconds
        return {"inter-token p50, ms": half, "inter-token p99, ms": most, "pieces, /s": pieces,
                "both API processes, % of a core": 100 * self.cores}  # fmt: skip


class Listeners:
    """Streams, one after the other; each piece is noted in the window that is open."""

    def __init__(self, house: House, headers: Mapping[str, str], count: int) -> None:
        self._house = house
        self._headers = headers
        self._window: Window | None = None
        self._tasks = [asyncio.create_task(self._listen(number)) for number in range(count)]

    async def stop(self) -> None:
        """Raises what a stream has failed of."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def window(self, seconds: float) -> Window:
        await asyncio.sleep(SETTLING)
        processes = [psutil.Process(server.process.pid) for server in self._house.servers.values()]
        window, before, started = Window(), _processor_time(processes), time.monotonic()
        self._window = window
        await asyncio.sleep(seconds)
        self._window = None
        window.seconds = time.monotonic() - started
        window.cores = (_processor_time(processes) - before) / window.seconds
        return window

    async def _listen(self, number: int) -> None:
        while True:
            number += 1000
            request = talk(number, tokens=ANSWER)
            async with self._house.client.stream("POST", CHAT, json=request, headers=self._headers) as answer:
                answer.raise_for_status()
                last: float | None = None
                async for part in answer.aiter_lines():
                    if part.startswith("data: {"):
                        now = time.monotonic()
                        if self._window is not None and last is not None:
                            self._window.gaps.append(1000 * (now - last))
                        last = now


def _processor_time(processes: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


async def scrapes(house: House, streams: int, rounds: int, seconds: float) -> bool:
    listeners = Listeners(house, await house.account("streams", "open"), streams)
    pages: list[dict[str, Any]] = []
    pairs: list[tuple[Window, Window]] = []
    for number in range(rounds):
        if number % 2 == 0:  # and then in the other order: what follows upon what is no advantage
            without = await listeners.window(seconds)
            pairs.append((without, await _scraped(house, listeners, seconds, pages)))
        else:
            with_ = await _scraped(house, listeners, seconds, pages)
            pairs.append((await listeners.window(seconds), with_))
    await listeners.stop()
    print(f"{streams} streams over both servers, {rounds} rounds of two windows of {seconds:g} s:\n\n{_table(pairs)}\n")
    asked, failed = (sum(page[what] for page in pages) for what in ("pages", "failed"))
    slowest = max(page["ms"]["p99"] for page in pages)
    print(f"{asked} pages, {failed} failed, p99 of the slowest window {slowest} ms; the last: {json.dumps(pages[-1])}")
    return not failed


async def _scraped(house: House, listeners: Listeners, seconds: float, pages: list[dict[str, Any]]) -> Window:
    """A window while another process scrapes both servers, as a picker does: past the proxy."""
    urls = [word for server in house.servers.values() for word in ("--url", server.root)]
    command = [sys.executable, "-m", "benchmarks.picker", *urls, "--seconds", str(seconds + 2 * SETTLING)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert (await process.stdout.readline()).strip() == b"begun"
    window = await listeners.window(seconds)
    said, _ = await process.communicate()
    pages += [json.loads(row) for row in said.splitlines()]
    return window


def _table(pairs: Sequence[tuple[Window, Window]]) -> str:
    rows = ["| | without | with | ratio | by the rounds |", "|---|---|---|---|---|"]
    for name in pairs[0][0].figures():
        values = [(one.figures()[name], other.figures()[name]) for one, other in pairs]
        ratios = [after / before for before, after in values if before]
        without, with_ = (median(value[side] for value in values) for side in (0, 1))
        spread = paired(ratios)
        said = f"{spread.low:.2f} to {spread.high:.2f}" if spread else "fewer than six"
        rows.append(f"| {name} | {without:.1f} | {with_:.1f} | {median(ratios):.2f} | {said} |")
    return "\n".join(rows)
