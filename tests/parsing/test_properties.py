"""What `server.parsing.base` promises, of every family."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.parsing import FAMILIES, make_parser
from tests.parsing.case_files import feed_all, merged, parse, split

FRAGMENTS = {
    "qwen3_coder": [
        *("<tool_call>", "</tool_call>", "<function=", "get_weather>", "</function>", "<parameter=", "city>", "days>"),
        *("</parameter>", "\n<parameter=", "\n</function>", "<para", "f", '"x"'),
    ],
    "glm45": [
        *("<tool_call>", "</tool_call>", "get_weather", "<arg_key>", "city", "days", "</arg_key>", "<arg_value>"),
        *("</arg_value>", "</arg_v", "<arg_"),
    ],
    "gpt_oss": [
        *("<|start|>", "assistant", "<|channel|>", "analysis", "final", "commentary", " to=functions.f", "<|message|>"),
        *("<|end|>", "<|call|>", "<|return|>", "<|constrain|>", "json", "<|en", "to=browser"),
    ],
    "deepseek_v3": [
        *("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "function", "f"),
        *("<｜tool▁calls▁end｜>", "\n```json\n", "\n```", "<｜tool", "`"),
    ],
    "mistral": [
        *("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "f", "get_time", '{"name": "f", "arguments": ', "[TOOL_", "[A", ", "),
        *("[THINK]", "[/THINK]", "</s>"),
    ],
    "llama_json": [
        *("<|python_tag|>", "<|python_start|>", "<|python_end|>", '{"name": "f", "parameters": ', '"name"', "name"),
        *("[f(", "f(", "(", ")", "a=", "=", "g", "; ", "<|eot_id|>", "<|py", "\\x41", "1_0", "True", '{"', "{ "),
    ],
}
SHARED = [
    *("{", "}", "{}", "[", "]", '"', "'", ",", ":", '{"a": 1}', '{"a": "b', "1", "null", "<", "</", ">", "\\"),
    *(" ", "\n", "Hello.", "एक", "😀", "<think>", "</think>"),
]
TAGS = (
    "<tool_call>",
    "</tool_call>",
    "<function=",
    "<arg_key>",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<｜tool▁",
    "<|channel|>",
)
PARSED = list(FRAGMENTS)
each_family = pytest.mark.parametrize("family", PARSED)
cuts = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)
words = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<{[｜"), max_size=20)


def ramblings(family: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*FRAGMENTS[family], *SHARED]) | st.text(max_size=3), max_size=25).map("".join)


def is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


@each_family
@given(data=st.data(), at=cuts)
@settings(max_examples=60)
def test_any_split_equals_the_whole(family: str, data: st.DataObject, at: list[int]) -> None:
    text = data.draw(ramblings(family))
    whole = parse(text, family=family)
    assert parse(text, split(text, at), family) == whole
    assert parse(text, list(text), family) == whole


@each_family
@given(data=st.data())
@settings(max_examples=60)
def test_no_tag_is_spoken_and_only_incomplete_calls_do_not_parse(family: str, data: st.DataObject) -> None:
    answer = parse(data.draw(ramblings(family)), family=family)
    family_tags = [tag for tag in TAGS if any(tag in fragment for fragment in FRAGMENTS[family])]
    assert not any(tag in answer.content for tag in family_tags)
    assert sum(not is_object(arguments) for _, arguments in answer.calls) <= answer.failures + answer.cut
    assert all(name for name, _ in answer.calls)


@each_family
@given(data=st.data(), at=cuts)
@settings(max_examples=60)
def test_cut_off_an_answer_lacks_a_less_than_sign_at_its_end_and_nothing_else(
    family: str, data: st.DataObject, at: list[int]
) -> None:
    text = data.draw(ramblings(family)) + data.draw(st.sampled_from(["", "<"]))
    free, cut = parse(text, family=family), parse(text, split(text, at), family, cut_off=True)
    assert (cut.calls, cut.failures, cut.cut) == (free.calls, free.failures, free.cut)
    assert cut.content == free.content or (text.endswith("<") and cut.content == free.content[:-1].rstrip())


@given(text=words, at=cuts)
@settings(max_examples=30)
def test_a_less_than_sign_is_said_where_no_tag_can_stand(text: str, at: list[int]) -> None:
    text += "<"
    for family in FAMILIES:
        parser = make_parser(family, tools=False, verbatim=True)
        assert merged(feed_all(parser, split(text, at), cut_off=True)) == (text,)
        assert parse(text, split(text, at), family, cut_off=True).content == text[:-1].rstrip()


@each_family
@given(data=st.data(), end=st.integers(min_value=0, max_value=200))
@settings(max_examples=60)
def test_a_longer_text_never_takes_back_a_call(family: str, data: st.DataObject, end: int) -> None:
    text = data.draw(ramblings(family))
    part, whole = parse(text[:end], family=family).calls, parse(text, family=family).calls
    for (name, arguments), (whole_name, whole_arguments) in zip(part, whole, strict=False):
        assert name == whole_name
        assert whole_arguments.startswith(arguments)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "hermes"])
@given(text=words, at=cuts)
@settings(max_examples=30)
def test_speech_alone_comes_through_as_it_was_written(family: str, text: str, at: list[int]) -> None:
    assert parse(text, split(text, at), family).content == text


strings = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
    max_leaves=10,
)
keywords = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), values, max_size=4)


@given(arguments=keywords, before=words, at=cuts)
def test_any_python_literal_comes_through(arguments: dict[str, object], before: str, at: list[int]) -> None:
    call = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    text = f"{before}\n[f({call}), g()]"
    answer = parse(text, split(text, at), "llama_pythonic")
    assert [(name, json.loads(text)) for name, text in answer.calls] == [("f", arguments), ("g", {})]
    assert answer.content == before.rstrip()


@given(city=strings, days=st.integers(), at=cuts)
def test_any_tagged_string_comes_through(city: str, days: int, at: list[int]) -> None:
    lines = (("city", f"\n{city}\n"), ("days", f"\n{days}\n"))
    qwen = "".join(f"<parameter={key}>{value}</parameter>" for key, value in lines)
    glm = "".join(f"<arg_key>{key}</arg_key><arg_value>{value[1:-1]}</arg_value>" for key, value in lines)
    for family, inner in (("qwen3_coder", f"<function=get_weather>{qwen}</function>"), ("glm45", f"get_weather{glm}")):
        text = f"<tool_call>{inner}</tool_call>"
        [(name, arguments)] = parse(text, split(text, at), family).calls
        assert (name, json.loads(arguments)) == ("get_weather", {"city": city, "days": days})
