"""When to stop asking a service that does not answer."""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Open after so many failures in a row; closed again by the next success, which is somebody else's to try."""

    limit: int
    failures: int = 0

    @property
    def open(self) -> bool:
        return self.failures >= self.limit

    def failed(self) -> bool:
        """True: this failure opened it."""
        self.failures += 1
        return self.failures == self.limit

    def succeeded(self) -> bool:
        """True: this success closed it."""
        was_open, self.failures = self.open, 0
        return was_open
