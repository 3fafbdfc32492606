import json

import pytest

from tests.parsing.case_files import Case, feed_all, hermes, load, merged, parse

CASES = load("hermes")
TAGS = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_start|>", "<|im_end|>", "<|endoftext|>")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def outcome(case: Case) -> tuple[object, ...]:
    return case.events, case.failures, case.cut


@each_case
def test_whole(case: Case) -> None:
    assert outcome(parse(case.text)) == outcome(case)


@each_case
def test_character_by_character(case: Case) -> None:
    assert outcome(parse(case.text, list(case.text))) == outcome(case)


@each_case
def test_in_two_pieces(case: Case) -> None:
    for at in range(len(case.text) + 1):
        assert outcome(parse(case.text, [case.text[:at], case.text[at:]])) == outcome(case)


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
    for end in range(len(case.text)):
        part = parse(case.text[:end])
        words = part.content.rstrip().removesuffix("<").rstrip()
        assert case.content.startswith(words)
        assert not any(tag in part.content for tag in TAGS)
        assert not any(part.content.endswith(tag[:size]) for tag in TAGS for size in range(2, len(tag)))
        assert len(part.calls) <= len(case.calls)
        for (name, arguments), (whole_name, whole_arguments) in zip(part.calls, case.calls, strict=False):
            assert name == whole_name
            assert whole_arguments.startswith(arguments)


@each_case
def test_every_piece_is_certain(case: Case) -> None:
    """What has been sent before the end is never taken back."""
    parser = hermes()
    sent = []
    for character in case.text:
        sent += parser.feed(character)
        so_far = merged(sent)
        assert so_far[:-1] == case.events[: len(so_far[:-1])]
    assert merged([*sent, *parser.finish()]) == case.events


@each_case
def test_without_tools_the_same_is_said_and_nothing_called(case: Case) -> None:
    events = merged(feed_all(hermes(tools=False), list(case.text)))
    assert "".join(map(str, events)) == case.content


def test_what_is_left_around_a_tag_makes_no_new_one() -> None:
    assert parse("<tool_<think>call>{}").content == "<tool_\ncall>{}"


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
