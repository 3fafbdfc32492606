from pathlib import Path

import pytest

from server.parsing import FAMILIES, detect, make_parser
from server.records import Arguments, Text, ToolCall

QWEN = r"""{%- if tools %}{{- "# Tools\n\nFor each function call, return a json object with function name and arguments
within <tool_call></tool_call> tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}" }}"""
QWEN_CODER = "{{ '<tool_call>\\n<function=example>\\n<parameter=arguments>' }}"
GLM = "{{ '<tool_call>' ~ name ~ '<arg_key>' ~ arguments }}"
NANO = Path(__file__).parents[2] / "server" / "nano" / "chat_template.jinja"
CALL = 'Hi. <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


@pytest.mark.parametrize(
    ("template", "family"),
    [(QWEN, "hermes"), (QWEN_CODER, "plain"), (GLM, "plain"), ("{{ messages }}", "plain"), ("", "plain")],
)
def test_detect(template: str, family: str) -> None:
    assert detect(template) == family


def test_the_embedded_model_speaks_hermes() -> None:
    assert detect(NANO.read_text("utf-8")) == "hermes"


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_called_where_no_tools_are_offered(family: str) -> None:
    parser = make_parser(family, tools=False)
    assert [*parser.feed(CALL), *parser.finish()] == [Text("Hi.")]


def test_a_plain_model_cannot_call() -> None:
    parser = make_parser("plain", tools=True)
    assert [*parser.feed(CALL), *parser.finish()] == [Text("Hi.")]


def test_verbatim() -> None:
    parser = make_parser("hermes", tools=True, verbatim=True)
    assert [*parser.feed(CALL), *parser.feed(""), *parser.feed("\n<"), *parser.finish()] == [Text(CALL), Text("\n<")]


def test_ids_come_from_the_factory() -> None:
    parser = make_parser("hermes", tools=True, new_id=lambda: "call_7")
    assert parser.feed(CALL) == [Text("Hi."), ToolCall(0, "call_7", "f"), Arguments(0, '{"a": 1}')]


def test_ids_are_random_by_default() -> None:
    def call() -> ToolCall:
        events = make_parser("hermes", tools=True).feed(CALL)
        return next(event for event in events if isinstance(event, ToolCall))

    one, other = call(), call()
    assert one.id != other.id
    assert one.id.startswith("call_") and len(one.id) == len("call_") + 24
    assert int(one.id.removeprefix("call_"), 16) >= 0


@pytest.mark.parametrize(("family", "named"), [("hermse", "hermes"), ("Plain", "plain"), ("zzz", "hermes, plain")])
def test_an_unknown_family_is_refused_with_the_nearest(family: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_parser(family, tools=True)
