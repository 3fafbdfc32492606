import json
from collections import Counter

import pytest

from server.parsing import FAMILIES
from server.records import Reasoning
from tests.parsing.case_files import FAMILY_OF, Case, feed_all, load_all, merged, split

CASES = load_all()
TAGS = (
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    *("<function=", "</function>", "<parameter=", "</parameter>", "<arg_key>", "</arg_key>", "</arg_value>"),
    *("[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "<|python_start|>", '{"name"', "<|eot_id|>"),
    *(
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>",
    ),
    *("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_whole(case: Case) -> None:
    assert case.parse([case.text]).outcome == case.outcome


@each_case
def test_character_by_character(case: Case) -> None:
    assert case.parse(case.text).outcome == case.outcome


@each_case
def test_in_two_pieces(case: Case) -> None:
    for at in range(len(case.text) + 1):
        assert case.parse([case.text[:at], case.text[at:]]).outcome == case.outcome


@each_case
def test_completed_arguments_parse(case: Case) -> None:
    opened = 0
    for _, arguments in case.calls:
        try:
            assert isinstance(json.loads(arguments), dict)
        except json.JSONDecodeError:
            opened += 1
    assert opened <= case.failures + case.cut


@each_case
def test_truncated_anywhere_it_says_and_calls_no_more_than_the_whole(case: Case) -> None:
    tags = [tag for tag in TAGS if tag not in case.content]
    for end in range(len(case.text)):
        part = case.parse([case.text[:end]])
        words = part.content.rstrip().removesuffix("<").rstrip()
        assert case.content.startswith(words)
        assert not any(tag in part.content for tag in tags)
        assert not any(part.content.endswith(tag[:size]) for tag in tags for size in range(2, len(tag)))
        assert len(part.calls) <= len(case.calls)
        for (name, arguments), (whole_name, whole_arguments) in zip(part.calls, case.calls, strict=False):
            assert name == whole_name
            assert whole_arguments.startswith(arguments)


@each_case
def test_every_piece_is_certain(case: Case) -> None:
    """What has been sent before the end is never taken back."""
    parser = case.parser()
    sent = []
    for character in case.text:
        sent += parser.feed(character)
        so_far = merged(sent)
        assert so_far[:-1] == case.events[: len(so_far[:-1])]
    assert merged([*sent, *parser.finish()]) == case.events


@each_case
def test_without_tools_the_same_is_said_and_nothing_called(case: Case) -> None:
    events = merged(feed_all(case.parser(tools=False), list(case.text)))
    assert "".join(map(str, events)) == case.content


@each_case
def test_reasoning_is_reported(case: Case) -> None:
    for pieces in ([case.text], list(case.text), split(case.text, [len(case.text) // 3, len(case.text) // 2])):
        events = feed_all(case.parser(), pieces)
        assert "".join(event.text for event in events if isinstance(event, Reasoning)) == case.reasoning


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(number >= 20 for number in Counter(case.family for case in CASES).values())


def test_every_family_has_cases() -> None:
    parsers = {type(_innermost(name)) for name in FAMILIES}
    assert parsers == {type(_innermost(name)) for name in FAMILY_OF.values()}


def _innermost(family: str) -> object:
    parser: object = FAMILIES[family].calls(str, {})
    return getattr(parser, "_parser", parser)
