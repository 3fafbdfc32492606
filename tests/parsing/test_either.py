"""A call or JSON, told apart by how they begin."""

import pytest

from server.parsing import FAMILIES, make_parser
from server.parsing.either import CallsOrJson
from tests.parsing.case_files import feed_all, merged

CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
JSON = ['{"a": "<tool_call>"}', ' [1, "<"]', '"<think>"', "-1", "true", "nul", "null ", "", " \n"]


def read(family: str, pieces: list[str]) -> tuple[object, ...]:
    new_id = iter([f"call_{n}" for n in range(9)]).__next__
    return merged(feed_all(make_parser(family, tools=True, verbatim=True, new_id=new_id), pieces))


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if not name.startswith("llama")])
@pytest.mark.parametrize("text", JSON)
def test_json_comes_through_as_it_is(family: str, text: str) -> None:
    assert read(family, [text]) == read(family, list(text)) == ((text,) if text.strip() else read(family, [text]))
    assert "".join(map(str, read(family, [text]))) == text


@pytest.mark.parametrize("words", ["", "One moment.\n", "truly\n"])
def test_calls_are_read(words: str) -> None:
    expected = (*([words.strip()] if words else []), ("f", '{"a": 1}'))
    assert read("hermes", [words + CALL]) == read("hermes", list(words + CALL)) == expected


def test_a_thought_comes_first() -> None:
    assert read("hermes", list("<think>a</think>\n" + CALL)) == (("f", '{"a": 1}'),)
    assert read("hermes", list('<think>a</think>\n{"b": 1}')) == ('{"b": 1}',)


def test_half_of_a_trigger_is_not_spoken() -> None:
    assert read("hermes", list("<tool_ca")) == ()


def test_without_a_trigger_what_does_not_begin_as_json_may_hold_calls() -> None:
    parser = CallsOrJson(make_parser("hermes", tools=True), "")
    assert merged(feed_all(parser, ["Hello."])) == ("Hello.",)
