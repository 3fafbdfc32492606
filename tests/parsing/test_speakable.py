"""Nothing but speech, whatever the model writes."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.parsing import make_parser
from server.parsing.markdown import Markdown
from server.parsing.speakable import Speakable
from server.parsing.words import Words
from server.records import Arguments, Reasoning, Text, ToolCall
from tests.parsing.case_files import Case, feed_all, load_all, merged, split

SAID = {
    "One moment, please.\n": "One moment, please.\n",
    'Hi. {"name": "f", "arguments": {"a": "}"}} Done.': "Hi.\nDone.",
    "Hi. {'name': 'f', 'arguments': {}}": "Hi.",
    '[{"name": "f"}, {"name": "g"}] Done.': "Done.",
    'Hm. ["a", 1] So.': "Hm.\nSo.",
    "{}": "",
    'Broken: {"name": f, "arguments": {}}\nGo on.': "Broken:\nGo on.",
    '```json\n{"a": 1}\n```\nDone.': "Done.",
    "Use {x}, [1], [name] or a < b <d, e.": "Use {x}, [1], [name] or a < b <d, e.",
    "This is <b>bold</b>, and<br/>this not.": "This is bold, and\nthis not.",
    "Hm. <function=f><parameter=a>Pune</parameter></function> So.": "Hm.\nSo.",
    'Hm. <invoke name="f"><parameter name="a">Pune</parameter></invoke>': "Hm.",
    "Hm. <tool_call>f(1)</tool_call> So.": "Hm.\nSo.",
    "<thinking>Which city?</thinking>Hello.": "Hello.",
    "Hm. <|python_tag|>f(1)\nprint(2)": "Hm.",
    'Hm.[TOOL_CALLS]f[ARGS]{"a": 1}': "Hm.",
    "Hm.<｜tool▁calls▁begin｜>f<｜tool▁sep｜>{}": "Hm.",
    "Hello.<|reserved_special_token_7|> Bye.</s>": "Hello.\nBye.",
    "Hello.<|tool_call_end|> Bye.": "Hello.\nBye.",
    "half of a tag <tool_ca": "half of a tag",
    "half of a token <|im_e": "half of a token",
    "half of an object {": "half of an object",
    "less than <": "less than <",
    '<<b>/tool> and {<br/>"a": 1}': '<\n/tool> and {\na": 1}',
    "Your appointment </has 485.": "Your appointment\n485.",
    "This is </b bold.": "This is  bold.",
    "Hm. <tool_call f(1)": "Hm.\nf(1)",
    "Hello.<|im_end Bye.": "Hello.\nBye.",
    "The end of </ it.": "The end of\nit.",
    'It is in Pune"}': "It is in Pune",
    'Se\nThanks arguments":\n}\n': "Se\nThanks arguments",
    'Hm. "], so.': "Hm.\n, so.",
    'Hm. "name": "Pune", "unit": "c"}\nSo.': "Hm.\nSo.",
    'Say "small": 5, "wait": now, and {x}} or "{y}".': 'Say "small": 5, "wait": now, and {x}\nor "{y}".',
    'He said "wait"': 'He said "wait"',
    '{<tool "a" b>': '{\na" b>',
    'half of a member "wait":': "half of a member",
}
FRAGMENTS = [
    *(
        "<",
        "<|",
        "|>",
        "tool",
        "a",
        "<b",
        ">",
        "</",
        "{",
        "}",
        '"',
        ":",
        "[",
        "]",
        "INST",
        "`",
        "```",
        "json",
        "\n",
        " ",
    ),
    *('"}', '":', '"], ', '"a"', "<tool ", "</a "),
    *("=", 'x="y"', "</tool>", "<tool>", "</s>", "<br/>", '{"a": 1}', "[TOOL_CALLS]", "Hello.", "**"),
]
MARKUP = re.compile(r'<[|｜][^\s<>|｜]+[|｜]>|</?[a-z]+>|\{\s*"|\[(?:TOOL_CALLS|INST)\]|```')


def words(pieces: list[str], style: Markdown | None = None) -> str:
    reader = Words(style)
    return "".join(map(reader.feed, pieces)) + reader.finish()


@pytest.mark.parametrize("text", SAID)
def test_what_is_left(text: str) -> None:
    assert words([text]) == SAID[text] == words(list(text))


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join), st.lists(st.integers(0, 500)), st.booleans())
def test_any_split_equals_the_whole(text: str, cuts: list[int], strip: bool) -> None:
    def said(pieces: list[str]) -> str:
        return words(pieces, Markdown() if strip else None)

    assert said(split(text, cuts)) == said([text]) == said(list(text))


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join), st.booleans())
@example('{**"a', True)
@example('{`"a', True)
@example('{```{<|> "}', True)
@example("[A<b<｜x'y>", True)
@example("<para`**city>", True)
@example("<**para>", True)
@example("Hm. ```assistantanalysis", False)
def test_no_markup_is_left(text: str, strip: bool) -> None:
    assert not MARKUP.search(words([text], Markdown() if strip else None))


@given(st.text(alphabet=st.characters(exclude_characters='<{[`"}'), max_size=50))
def test_speech_comes_out_as_it_went_in(text: str) -> None:
    assert words(list(text)) == text


def test_words_flow_and_only_the_beginning_of_a_mark_is_kept_back() -> None:
    reader = Words(None)
    assert [reader.feed(piece) for piece in ("One mo", "ment <", "b", "ig, {", "x}")] == [
        "One mo",
        "ment",
        "",
        " <big,",
        " {x}",
    ]


def test_cut_off_a_less_than_sign_at_the_end_begins_a_mark() -> None:
    for text in ("One < two <", "One < two\n<"):
        parser = Speakable(make_parser("mistral", tools=True), tools=True, strip_markdown=False)
        assert merged(feed_all(parser, list(text), cut_off=True)) == ("One < two",)


def test_what_had_to_be_dropped_is_a_failure_where_tools_are_offered() -> None:
    for tools, failures in ((True, 1), (False, 0)):
        parser = Speakable(make_parser("hermes", tools=tools), tools=tools, strip_markdown=False)
        assert feed_all(parser, ['Hm. {"name": "f"}']) == [Text("Hm.")]
        assert parser.failures == failures


def test_calls_and_thoughts_pass() -> None:
    parser = Speakable(make_parser("hermes", tools=True, new_id=lambda: "a"), tools=True, strip_markdown=True)
    call = '<tool_call>{"name": "f", "arguments": {"a": "<b>"}}</tool_call>'
    assert feed_all(parser, [f'<think>{{"a": *}}</think>**One** <|x|> mo*ment*.\n{call}']) == [
        Reasoning('{"a": *}'),
        Text("One\nmoment."),
        ToolCall(0, "a", "f"),
        Arguments(0, '{"a": "<b>"}'),
    ]
    assert not parser.failures


@pytest.mark.parametrize("case", load_all(), ids=lambda case: case.name)
def test_the_cases_of_all_families_say_and_call_the_same(case: Case) -> None:
    for pieces in ([case.text], list(case.text)):
        parser = Speakable(case.parser(), tools=True, strip_markdown=False)
        events = merged(feed_all(parser, pieces))
        said = "".join(event for event in events if isinstance(event, str))
        assert [event for event in events if isinstance(event, tuple)] == case.calls
        assert not MARKUP.search(said)
        assert said == case.content or MARKUP.search(case.content)
