"""One fleet for all tests of this folder, and a minute that passes while they run."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.accounts.fleet import Fleet, running_fleet
from tests.accounts.sliding import Minute, live_a_minute


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="session", autouse=True)
def minute(fleet: Fleet) -> Iterator[Future[Minute]]:
    """In a thread of its own, from before the first test on; Redis must stay until it is over."""
    key = fleet.account("sliding")
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(lambda: asyncio.run(live_a_minute(fleet, key)))
