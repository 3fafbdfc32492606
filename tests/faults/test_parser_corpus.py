"""What benchmarks/fuzz_parsers.py has found worth keeping, once more."""

from benchmarks.fuzz_parsers import kept
from benchmarks.parser_input import check


def test_every_input_that_was_kept() -> None:
    inputs = kept()
    assert inputs
    for one in inputs:
        check(one)
