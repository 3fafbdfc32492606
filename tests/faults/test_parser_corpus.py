"""What benchmarks/fuzz_parsers.py has found worth keeping, once more."""

import pytest

from benchmarks.fuzz_parsers import kept
from benchmarks.parser_input import FAMILY_NAMES, check


@pytest.mark.parametrize("family", range(len(FAMILY_NAMES)), ids=FAMILY_NAMES)
def test_every_input_that_was_kept(family: int) -> None:
    inputs = [one for one in kept() if one and one[0] % len(FAMILY_NAMES) == family]
    assert inputs
    for one in inputs:
        check(one)
