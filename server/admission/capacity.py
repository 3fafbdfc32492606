"""What this node can carry, and who is turned away first when that is little."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import Unavailable
from server.settings import AdmissionSettings, ServiceClass


@dataclass(frozen=True, slots=True)
class Level:
    """priority: vLLM's, lower goes first. share: of the node. retry_after: seconds."""

    priority: int
    share: float
    retry_after: int


def levels(settings: AdmissionSettings) -> Mapping[ServiceClass, Level]:
    """Best first: a call in which somebody waits, an answer that may be needed, work that can wait."""
    return {
        "live": Level(0, 1.0, 1),
        "speculative": Level(1, settings.speculative_share, 2),
        "background": Level(2, settings.background_share, 5),
    }


class Slot:
    """One request's part of the node: a place, and the prompt tokens that wait for its first token."""

    def __init__(self, capacity: "Capacity", tokens: int) -> None:
        self._capacity = capacity
        self._queued = tokens
        self._free = False

    def first_token(self) -> None:
        self._capacity.queued_tokens -= self._queued
        self._queued = 0

    def free(self) -> None:
        """Idempotent."""
        if not self._free:
            self._free = True
            self._capacity.in_flight -= 1
            self.first_token()


class Capacity:
    """Counts the requests inside and the prompt tokens that are queued."""

    def __init__(self, settings: AdmissionSettings) -> None:
        self.levels = levels(settings)
        self.in_flight = 0
        self.queued_tokens = 0
        self._max_in_flight = settings.max_in_flight
        self._max_queued_tokens = settings.max_queued_tokens

    def take(self, service_class: ServiceClass, tokens: int) -> Slot:
        """
        Raises:
            Unavailable: too much is going on for this class.
        """
        level = self.levels[service_class]
        if self.in_flight >= math.ceil(level.share * self._max_in_flight):
            raise Unavailable(
                f"The server is working on {self.in_flight} requests and takes no more {service_class} ones.",
                level.retry_after,
            )
        # A prompt larger than the bound gets in when nothing else waits: refusing it for ever would help nobody.
        if self.queued_tokens and self.queued_tokens + tokens > level.share * self._max_queued_tokens:
            raise Unavailable(
                f"{self.queued_tokens} prompt tokens are queued; the server takes no more {service_class} requests.",
                level.retry_after,
            )
        self.in_flight += 1
        self.queued_tokens += tokens
        return Slot(self, tokens)
