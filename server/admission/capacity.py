"""What this node can carry, and who is turned away first when that is little."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import Unavailable
from server.processes import Seat, alone
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
        self._capacity.queued.mine -= self._queued
        self._queued = 0

    def free(self) -> None:
        """Idempotent."""
        if not self._free:
            self._free = True
            self._capacity.admitted.mine -= 1
            self.first_token()


class Capacity:
    """Counts the requests inside and the prompt tokens that are queued, of all processes together.

    Two of them may count at the same moment: then one request more than the node should carry gets in.
    """

    def __init__(self, settings: AdmissionSettings, seat: Seat | None = None) -> None:
        seat = seat or alone()
        self.levels = levels(settings)
        self.admitted = seat.tally("in_flight")
        self.queued = seat.tally("queued_tokens")
        self._max_in_flight = settings.max_in_flight
        self._max_queued_tokens = settings.max_queued_tokens

    @property
    def in_flight(self) -> int:
        """Of this process."""
        return self.admitted.mine

    @property
    def queued_tokens(self) -> int:
        """Likewise."""
        return self.queued.mine

    def take(self, service_class: ServiceClass, tokens: int) -> Slot:
        """
        Raises:
            Unavailable: too much is going on for this class.
        """
        level = self.levels[service_class]
        in_flight, queued_tokens = self.admitted.total, self.queued.total
        if in_flight >= math.ceil(level.share * self._max_in_flight):
            raise Unavailable(
                f"The server is working on {in_flight} requests and takes no more {service_class} ones.",
                level.retry_after,
            )
        # A prompt larger than the bound gets in when nothing else waits: refusing it for ever would help nobody.
        if queued_tokens and queued_tokens + tokens > level.share * self._max_queued_tokens:
            raise Unavailable(
                f"{queued_tokens} prompt tokens are queued; the server takes no more {service_class} requests.",
                level.retry_after,
            )
        self.admitted.mine += 1
        self.queued.mine += tokens
        return Slot(self, tokens)
