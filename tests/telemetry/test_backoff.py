"""Ever longer waits, up to a most."""

from server.telemetry.backoff import Backoff
from tests.telemetry.helpers import Clock


def wait(backoff: Backoff, clock: Clock) -> int:
    """Whole seconds until it is due."""
    started = clock.now
    while not backoff.due():
        clock.now += 1
    return int(clock.now - started)


def test_waits_double_up_to_the_most_and_start_anew_after_a_success(clock: Clock) -> None:
    backoff = Backoff(clock, first=1, most=30)
    assert backoff.due()
    waits = []
    for _ in range(7):
        backoff.failed()
        waits.append(wait(backoff, clock))
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    backoff.succeeded()
    backoff.failed()
    assert wait(backoff, clock) == 1
