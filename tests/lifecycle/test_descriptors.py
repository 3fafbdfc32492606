"""A server asks for the file descriptors that it may have."""

import resource
from collections.abc import Iterator

import pytest

from server.serving.process import DESCRIPTORS, ask_for_descriptors


@pytest.fixture
def most() -> Iterator[int]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_limit_is_raised(most: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most // 2, hard))
    ask_for_descriptors()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
    ask_for_descriptors()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
