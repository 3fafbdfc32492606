import json

from hypothesis import given
from hypothesis import strategies as st

from tests.parsing.case_files import parse, split

FRAGMENTS = [
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>", "<tool_", "call>", "<", "</", ">"),
    *('{"name": "f", "arguments": ', '{"name":"g"', '"arguments":', '"name": "h"', '{"a": 1}', '"{\\"a\\": 1}"'),
    *("{", "}", "[", "]", '"', "'", ",", ":", "\\", "\\u00e9", "\\ud83d", "1", "-1.5e3", "true", "null", "None"),
    *(" ", "\n", "\n\n", "Hello.", "एक", "😀", "```json\n", '{"name": "f", "arguments": {"a": "b"}}'),
]
TAGS = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>")

ramblings = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=25).map("".join)
cuts = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(), values, max_size=4)
dumps = st.builds(
    lambda ascii_only, indent, compact: (
        lambda value: json.dumps(
            value, ensure_ascii=ascii_only, indent=indent, separators=(",", ":") if compact else None
        )
    ),
    st.booleans(),
    st.none() | st.integers(min_value=0, max_value=2),
    st.booleans(),
)
names = st.text(min_size=1)
words = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=20)


@given(text=ramblings, at=cuts)
def test_any_split_equals_the_whole(text: str, at: list[int]) -> None:
    assert parse(text, split(text, at)) == parse(text)


@given(text=ramblings)
def test_character_by_character_equals_the_whole(text: str) -> None:
    assert parse(text, list(text)) == parse(text)


@given(text=ramblings)
def test_no_tag_is_spoken_and_only_incomplete_calls_do_not_parse(text: str) -> None:
    answer = parse(text)
    assert not any(tag in answer.content for tag in TAGS)
    assert sum(not is_object(arguments) for _, arguments in answer.calls) <= answer.failures + answer.cut
    assert all(name for name, _ in answer.calls)


@given(text=ramblings, end=st.integers(min_value=0, max_value=200))
def test_a_longer_text_never_takes_back_a_call(text: str, end: int) -> None:
    part, whole = parse(text[:end]).calls, parse(text).calls
    for (name, arguments), (whole_name, whole_arguments) in zip(part, whole, strict=False):
        assert name == whole_name
        assert whole_arguments.startswith(arguments)


@given(name=names, value=objects, dump=dumps, before=words, after=words, at=cuts, name_first=st.booleans())
def test_any_object_comes_through_as_it_was_written(name, value, dump, before, after, at, name_first) -> None:
    keys = [f'"name": {dump(name)}', f'"arguments": {dump(value)}']
    call = "{" + ", ".join(keys if name_first else reversed(keys)) + "}"
    text = f"{before}\n<tool_call>\n{call}\n</tool_call>\n{after}"
    answer = parse(text, split(text, at))
    assert answer.calls == [(name, dump(value))]
    assert answer.content.split() == f"{before} {after}".split()
    assert (answer.failures, answer.cut) == (0, False)


@given(value=objects, dump=dumps, outer=dumps, at=cuts)
def test_an_object_in_a_string_is_unwrapped(value, dump, outer, at) -> None:
    text = f'<tool_call>{{"name": "f", "arguments": {outer(dump(value))}}}</tool_call>'
    assert parse(text, split(text, at)).calls == [("f", dump(value))]


@given(text=words, at=cuts)
def test_speech_alone_comes_through_as_it_was_written(text: str, at: list[int]) -> None:
    assert parse(text, split(text, at)).content == text


def is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


def test_what_is_left_around_a_tag_makes_no_new_one() -> None:
    assert parse("<tool_<|im_end|>call>{}").content == "<tool_\ncall>{}"
