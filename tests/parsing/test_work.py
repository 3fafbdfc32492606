"""Time is linear in the length of the text: shown by counting, not by the clock."""

import sys
import tracemalloc

import pytest

from tests.parsing.case_files import hermes

CALL = '<tool_call>{"name": "f", "arguments": '

# What begins a text, what is repeated to make it long, what ends it.
LONG = {
    "speech": ("", "Hello there. ", ""),
    "blanks": ("a", " ", "b"),
    "blanks at the head": ("", " ", ""),
    "less-than signs": ("", "<tool_", ""),
    "thought": ("<think>", "</thin", "</think>Hello."),
    "a string": (CALL + '{"a": "', "x", '"}}</tool_call>'),
    "escapes": (CALL + '{"a": "', '\\"\\\\ \\n\\u00e9\n', '"}}</tool_call>'),
    "numbers": (CALL + '{"a": [', "12345, ", "0]}}</tool_call>"),
    "members": (CALL + "{", '"a": {"b": [true, "c"]}, ', '"d": 0}}</tool_call>'),
    "a long key": (CALL + '{"', "k", '": 0}}</tool_call>'),
    "a string of arguments": (CALL + '"{\\"a\\": \\"', "x\\n\\\\n\\u00e9", '\\"}"}</tool_call>'),
    "blanks in arguments": (CALL + "{", " ", "}}</tool_call>"),
    "a word too long": (CALL + '{"a": ', "1", "}}</tool_call>"),
    "open brackets": (CALL + '{"a": ', "[", "}}</tool_call>"),
    "arguments before the name": ('<tool_call>{"arguments": {"a": "', "x", '"}, "name": "f"}</tool_call>'),
    "a long name": ('<tool_call>{"name": "', "x", '"}</tool_call>'),
    "junk in a block": ("<tool_call>", "</tool_", ""),
    "junk behind a call": (CALL + "{}}", "}]", "</tool_call>"),
    "many calls": ("", CALL + "{}}</tool_call>", ""),
    "many tags": ("", "a<|im_end|>", ""),
}
each_long = pytest.mark.parametrize("name", LONG)


def functions_called(text: str, step: int) -> int:
    """Python's and C's, while the text is parsed in pieces of `step` characters."""
    called = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    parser = hermes()
    sys.setprofile(count)
    try:
        for piece in pieces:
            parser.feed(piece)
        parser.finish()
    finally:
        sys.setprofile(None)
    return called


@each_long
@pytest.mark.parametrize("step", [1, 7, sys.maxsize])
def test_each_further_part_costs_what_the_one_before_it_did(name: str, step: int) -> None:
    head, unit, tail = LONG[name]
    first, second, third = (functions_called(head + unit * times + tail, step) for times in (300, 600, 900))
    assert third - second <= second - first + 100  # the pieces need not begin where the parts do


@each_long
def test_a_further_character_copies_nothing_of_what_came_before(name: str) -> None:
    head, unit, _ = LONG[name]
    parser = hermes()
    parser.feed(head + unit * (200_000 // len(unit)))
    tracemalloc.start()
    try:
        for character in unit:
            parser.feed(character)
        assert tracemalloc.get_traced_memory()[1] < 20_000  # bytes, of a text of 200,000
    finally:
        tracemalloc.stop()
