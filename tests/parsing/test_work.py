"""Time is linear in the length of the text: shown by counting, not by the clock."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from server.parsing.markdown import Markdown
from server.parsing.words import Words
from tests.parsing.case_files import parser

CALL = '<tool_call>{"name": "f", "arguments": '
PYTHON = "[f(a="
DEEPSEEK = "<｜tool▁call▁begin｜>"
HARMONY = "<|channel|>commentary to=functions.f<|message|>"
QWEN = "<tool_call><function=get_weather><parameter="

# The family; what begins a text, what is repeated to make it long, what ends it.
LONG = {
    "speech": ("hermes", "", "Hello there. ", ""),
    "blanks": ("hermes", "a", " ", "b"),
    "blanks at the head": ("hermes", "", " ", ""),
    "less-than signs": ("hermes", "", "<tool_", ""),
    "thought": ("hermes", "<think>", "</thin", "</think>Hello."),
    "a string": ("hermes", CALL + '{"a": "', "x", '"}}</tool_call>'),
    "escapes": ("hermes", CALL + '{"a": "', '\\"\\\\ \\n\\u00e9\n', '"}}</tool_call>'),
    "numbers": ("hermes", CALL + '{"a": [', "12345, ", "0]}}</tool_call>"),
    "members": ("hermes", CALL + "{", '"a": {"b": [true, "c"]}, ', '"d": 0}}</tool_call>'),
    "a long key": ("hermes", CALL + '{"', "k", '": 0}}</tool_call>'),
    "a string of arguments": ("hermes", CALL + '"{\\"a\\": \\"', "x\\n\\\\n\\u00e9", '\\"}"}</tool_call>'),
    "blanks in arguments": ("hermes", CALL + "{", " ", "}}</tool_call>"),
    "a word too long": ("hermes", CALL + '{"a": ', "1", "}}</tool_call>"),
    "open brackets": ("hermes", CALL + '{"a": ', "[", "}}</tool_call>"),
    "arguments before the name": ("hermes", '<tool_call>{"arguments": {"a": "', "x", '"}, "name": "f"}</tool_call>'),
    "a long name": ("hermes", '<tool_call>{"name": "', "x", '"}</tool_call>'),
    "junk in a block": ("hermes", "<tool_call>", "</tool_", ""),
    "junk behind a call": ("hermes", CALL + "{}}", "}]", "</tool_call>"),
    "many calls": ("hermes", "", CALL + "{}}</tool_call>", ""),
    "many tags": ("hermes", "", "a<|im_end|>", ""),
    "braces in speech": ("llama_json", "", '{"na [', ""),
    "blanks behind a brace": ("llama_json", "{", " ", ""),
    "blanks behind a bracket": ("llama_json", "[", " ", ""),
    "a word behind a bracket": ("llama_json", "[", "x", ""),
    "many JSON calls": ("llama_json", "", '{"name": "f", "parameters": {}}; ', ""),
    "many keyword calls": ("llama_json", "[", "f(a=1, b='x'), ", "]"),
    "a keyword": ("llama_json", "<|python_tag|>[f(", "x", "=1)]"),
    "a Python string": ("llama_json", PYTHON + "'", 'x"\\x41\\U0001F600', "')]"),
    "Python tuples": ("llama_json", PYTHON + "(", "(1_0, .5), ", "))]"),
    "code": ("llama_json", "<|python_tag|>", "print(1)\n", ""),
    "an array of calls": ("mistral", "[TOOL_CALLS][", '{"name": "f", "arguments": {"a": 1}}, ', "]"),
    "many named calls": ("mistral", "", '[TOOL_CALLS]f[ARGS]{"a": 1}', ""),
    "a heading": ("mistral", "[TOOL_CALLS]", "x", "{}"),
    "a word behind a call": ("mistral", "[TOOL_CALLS]f{}", "x", ""),
    "brackets in speech": ("mistral", "", "[TOOL_", ""),
    "many parameters": ("qwen3_coder", QWEN + "days>1</parameter>", "<parameter=days>2</parameter>\n", "</function>"),
    "a string parameter": ("qwen3_coder", QWEN + "city>", 'x\n"</par', "</parameter></function>"),
    "a list parameter": ("qwen3_coder", QWEN + "days>[", "1, ", "2]</parameter></function>"),
    "a parameter's name": ("qwen3_coder", QWEN, "x", "></parameter></function>"),
    "junk between parameters": ("qwen3_coder", QWEN + "city></parameter>", "</fun\n", "</function>"),
    "many tagged calls": ("glm45", "", "<tool_call>f\n<arg_key>a</arg_key><arg_value>b</arg_value></tool_call>", ""),
    "a tagged name": ("glm45", "<tool_call>", "x", "</tool_call>"),
    "a fenced call": ("deepseek_v3", DEEPSEEK + 'function<｜tool▁sep｜>f\n```json\n{"a": "', "`", '"}\n```'),
    "many fenced calls": ("deepseek_v3", "", DEEPSEEK + "f<｜tool▁sep｜>{}\n```<｜tool▁call▁end｜>", ""),
    "a DeepSeek heading": ("deepseek_v3", DEEPSEEK, "<｜tool", "<｜tool▁sep｜>"),
    "many messages": ("gpt_oss", "", "<|start|>assistant<|channel|>final<|message|>Hello.<|end|>", ""),
    "many calls in messages": ("gpt_oss", "", HARMONY + "{}<|call|>", ""),
    "a message's heading": ("gpt_oss", "<|channel|>", "commentary <|con", "<|message|>"),
    "analysis": ("gpt_oss", "<|channel|>analysis<|message|>", "<|en ", "<|end|>"),
}
each_long = pytest.mark.parametrize("name", LONG)


# What is read aloud of a text: as above, without a family.
READ = {
    "words": ("", "Hello there. ", ""),
    "objects": ("", '{"a": [1, 2]} ', ""),
    "a broken object": ('{"a": ', "x ", ""),
    "tags": ("", '<b class="x">a</b> ', ""),
    "beginnings of tags": ("", '<a b="c ', ""),
    "a block": ("<tool>", "</too", "</tool>"),
    "behind a token": ("<|python_tag|>", "f(1) ", ""),
    "emphasis": ("", "**a** _b_ ", ""),
    "stars": ("", "*", "a"),
    "links": ("", "[a](b) ", ""),
    "beginnings of links": ("", "[a](", ""),
    "signs at the head of a line": ("", "- > # ", "a"),
    "rules": ("", "---\n", ""),
    "rows": ("", "| a | b |\n", ""),
}


def functions_called(family: str, text: str, step: int) -> int:
    """Python's and C's, while the text is parsed in pieces of `step` characters."""
    return calls_of(lambda: parser(family), text, step)


def calls_of(make: Callable[[], Any], text: str, step: int) -> int:
    _count_calls(make(), text[:300], step)  # Python counts differently what it has not run before
    return _count_calls(make(), text, step)


def _count_calls(reader: Any, text: str, step: int) -> int:
    called = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    gc.disable()  # whoever is called back by it is no parser
    sys.setprofile(count)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.finish()
    finally:
        sys.setprofile(None)
        gc.enable()
    return called


@each_long
@pytest.mark.parametrize("step", [1, 7, sys.maxsize])
def test_each_further_part_costs_what_the_one_before_it_did(name: str, step: int) -> None:
    family, head, unit, tail = LONG[name]
    first, second, third = (functions_called(family, head + unit * times + tail, step) for times in (300, 600, 900))
    assert third - second <= second - first + 100  # the pieces need not begin where the parts do


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("step", [1, 7, sys.maxsize])
def test_reading_aloud_is_linear_too(name: str, step: int) -> None:
    head, unit, tail = READ[name]
    first, second, third = (
        calls_of(lambda: Words(Markdown()), head + unit * times + tail, step) for times in (300, 600, 900)
    )
    assert third - second <= second - first + 100


@each_long
def test_a_further_character_copies_nothing_of_what_came_before(name: str) -> None:
    family, head, unit, _ = LONG[name]
    reader = parser(family)
    reader.feed(head + unit * (200_000 // len(unit)))
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(3):  # a copy is made each time; a list that grows, or another thread, takes memory once
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for character in unit:
                reader.feed(character)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert min(peaks) < 20_000  # bytes, of a text of 200,000
