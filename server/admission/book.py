"""One account's last minute: plain functions over a book and the time now, in seconds of any one clock.

A package for rate limits counts requests, but cannot take a request back that it counted, nor decide about window and
concurrency in one step, nor be given its clock; voice needs the first and tests need the last.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from server.admission.terms import Bounds, Obstacle, Settlement, Standing

WINDOW = 60.0  # seconds


@dataclass(slots=True)
class Entry:
    at: float
    tokens: int


@dataclass(slots=True)
class Book:
    """window: the requests that count, by lease, oldest first. running: leases. refunds: when, oldest first."""

    window: dict[str, Entry] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    refunds: deque[float] = field(default_factory=deque)


def consider(book: Book, lease: str, bounds: Bounds, tokens: int, now: float) -> Standing:
    """Admit the request if every bound allows it; a refused one leaves no trace."""
    forget(book, now)
    obstacle, wait = _obstacle(book, bounds, tokens, now)
    if obstacle is None:
        enter(book, lease, bounds, tokens, now)
    return standing(book, now, obstacle, wait)


def standing(book: Book, now: float, obstacle: Obstacle | None = None, wait: float = 0.0) -> Standing:
    forget(book, now)
    oldest = next(iter(book.window.values()), None)
    reset = oldest.at + WINDOW - now if oldest else 0.0
    return Standing(obstacle, len(book.window), len(book.running), wait, reset)


def enter(book: Book, lease: str, bounds: Bounds, tokens: int, now: float) -> None:
    """Write the request down, whatever the bounds say."""
    book.running.add(lease)
    if bounds.windowed:
        book.window[lease] = Entry(now, tokens)


def settle(book: Book, end: Settlement, now: float) -> bool:
    """End a request. True: its place in the window was given back. Settling twice changes nothing more."""
    book.running.discard(end.lease)
    if end.settling == "undo":
        return book.window.pop(end.lease, None) is not None
    if end.settling == "refund" and _refund(book, end, now):
        return True
    if end.tokens is not None and end.lease in book.window:
        book.window[end.lease].tokens = end.tokens
    return False


def forget(book: Book, now: float) -> None:
    """Drop what is a whole window old."""
    while book.window and book.window[oldest := next(iter(book.window))].at <= now - WINDOW:
        del book.window[oldest]
    while book.refunds and book.refunds[0] <= now - WINDOW:
        book.refunds.popleft()


def _refund(book: Book, end: Settlement, now: float) -> bool:
    forget(book, now)
    if end.lease not in book.window or len(book.refunds) >= end.bounds.refunds:
        return False
    del book.window[end.lease]
    book.refunds.append(now)
    return True


def _obstacle(book: Book, bounds: Bounds, tokens: int, now: float) -> tuple[Obstacle | None, float]:
    """The first bound in the way and the seconds until it gives way by itself (0: unknown)."""
    if bounds.requests is not None and len(book.window) >= bounds.requests:
        leaving = next(islice(book.window.values(), len(book.window) - bounds.requests, None))
        return "requests", leaving.at + WINDOW - now
    if bounds.tokens is not None and (wait := _token_wait(book, bounds.tokens, tokens, now)):
        return "tokens", wait
    if bounds.concurrency is not None and len(book.running) >= bounds.concurrency:
        return "concurrency", 0.0
    return None, 0.0


def _token_wait(book: Book, limit: int, tokens: int, now: float) -> float:
    """Seconds until the tokens fit; 0: now. One request larger than the limit passes when nothing else counts."""
    used, wait = sum(entry.tokens for entry in book.window.values()), 0.0
    for entry in book.window.values():
        if used == 0 or used + tokens <= limit:
            break
        used -= entry.tokens
        wait = entry.at + WINDOW - now
    return wait
