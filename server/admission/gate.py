"""The gate counts the requests inside and turns away what the node cannot carry."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.errors import Unavailable
from server.settings import AdmissionSettings


class Gate:
    """Bounds the requests that are at work or queued. Used from one event loop."""

    def __init__(self, settings: AdmissionSettings) -> None:
        self._max_in_flight = settings.max_in_flight
        self.in_flight = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold one slot.

        Raises:
            Unavailable: all slots are taken.
        """
        if self.in_flight >= self._max_in_flight:
            raise Unavailable(f"The server is working on {self.in_flight} requests and takes no more.")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
