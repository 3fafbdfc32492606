"""When to try again."""

from server.telemetry.requests import Clock


class Backoff:
    """Waits twice as long after each failure. Seconds."""

    def __init__(self, clock: Clock, first: float, most: float) -> None:
        self._clock = clock
        self._first = first
        self._most = most
        self._wait = first
        self._due = float("-inf")

    def due(self) -> bool:
        return self._clock() >= self._due

    def failed(self) -> None:
        self._due = self._clock() + self._wait
        self._wait = min(2 * self._wait, self._most)

    def succeeded(self) -> None:
        self._wait = self._first
        self._due = float("-inf")
