import json
from pathlib import Path

import pytest
import yaml

from server.parsing import FAMILIES, Family, detect, make_parser
from server.parsing.foreign import detect_foreign
from server.records import Arguments, Reasoning, Text, ToolCall
from tests.parsing.case_files import CASES, parse

TEMPLATES = yaml.safe_load((CASES / "templates.yaml").read_text("utf-8"))
NANO = Path(__file__).parents[2] / "server" / "nano" / "chat_template.jinja"
CALL = 'Hi. <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


@pytest.mark.parametrize("snippet", TEMPLATES, ids=lambda snippet: snippet["name"])
def test_detect(snippet: dict[str, str]) -> None:
    assert detect(snippet["template"]) == snippet["family"]


def test_every_family_is_detected() -> None:
    assert {snippet["family"] for snippet in TEMPLATES} == set(FAMILIES)


@pytest.mark.parametrize("snippet", TEMPLATES, ids=lambda snippet: snippet["name"])
def test_no_family_of_ours_is_taken_for_a_foreign_one(snippet: dict[str, str]) -> None:
    assert detect_foreign(snippet["template"]) is None


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ '<|tool_calls_section_begin|><|tool_call_begin|>' + call.id }}", "kimi_k2"),
        ("{{ '<seed:tool_call>\\n<function=' + name + '>\\n<parameter=' }}", "seed_oss"),
        ("{{ '<|tool_call|>' + calls|tojson }}", "granite"),
        ("{{ '<tool_calls>' + calls|tojson + '</tool_calls>' }}", "hunyuan_a13b"),
        ("{{ '<|bom|><tool_calls>' + calls|tojson + '</tool_calls>' }}", "jamba"),
    ],
)
def test_a_foreign_family(template: str, name: str) -> None:
    assert detect(template) == "vllm:" + name


@pytest.mark.parametrize(
    ("family", "special", "keeps"),
    [
        ("hermes", ["<|im_end|>"], False),
        ("hermes", ["<|im_end|>", "<tool_call>"], True),
        ("hermes", ["</think>"], True),
        ("glm45", ["<|user|>"], False),
        ("mistral", [], True),
        ("gpt_oss", [], True),
        ("plain", ["<s>"], False),
    ],
)
def test_where_special_tokens_are_markers_they_are_kept(family: str, special: list[str], keeps: bool) -> None:
    assert FAMILIES[family].of_tokenizer(special).special_tokens == keeps


@pytest.mark.parametrize(
    ("family", "prompt", "opens"),
    [
        ("hermes", "<|im_start|>assistant\n<think>\n", True),
        ("hermes", "<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("hermes", "<|im_start|>assistant\n", False),
        ("mistral", "[/INST][THINK]", True),
        ("gpt_oss", "<|start|>assistant<think>", False),
    ],
)
def test_a_prompt_that_opens_a_thought(family: str, prompt: str, opens: bool) -> None:
    assert FAMILIES[family].opens_thought(prompt) == opens


def test_the_embedded_model_speaks_hermes() -> None:
    assert detect(NANO.read_text("utf-8")) == "hermes"


def test_a_plain_model_cannot_call() -> None:
    parser = make_parser("plain", tools=True)
    assert [*parser.feed(CALL), *parser.finish()] == [Text("Hi.")]


def test_verbatim() -> None:
    parser = make_parser("hermes", tools=False, verbatim=True)
    assert [*parser.feed(CALL), *parser.feed(""), *parser.feed("\n<"), *parser.finish()] == [Text(CALL), Text("\n<")]


def test_a_thought_before_verbatim_output() -> None:
    parser = make_parser("hermes", tools=False, verbatim=True, thinking_open=True)
    assert [*parser.feed('Hm.</think>\n{"a": '), *parser.finish()] == [Reasoning("Hm."), Text('{"a": ')]


def test_a_family_that_is_not_listed() -> None:
    family = Family(FAMILIES["mistral"].calls, lambda template: False)
    assert make_parser(family, tools=True, new_id=lambda: "a").feed("[TOOL_CALLS]f{}") == [
        ToolCall(0, "a", "f"),
        Arguments(0, "{}"),
    ]


CALLABLE = [name for name in FAMILIES if name != "plain"]


@pytest.mark.parametrize("family", CALLABLE)
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("words", ["", "One moment."])
def test_what_the_grammar_prescribes_is_read(family: str, calls: int, words: str) -> None:
    grammar = FAMILIES[family].grammar
    assert grammar is not None
    arguments = {
        "json": '{"city":"Pune","days":2}',
        "qwen_xml": "<parameter=city>\nPune\n</parameter>\n<parameter=days>\n2\n</parameter>",
        "glm_xml": "<arg_key>city</arg_key><arg_value>Pune</arg_value><arg_key>days</arg_key><arg_value>2</arg_value>",
        "keywords": 'city="Pune", days=2',
    }[grammar.style]
    call = grammar.begin + "get_weather" + grammar.middle + arguments + grammar.end
    spoken = grammar.before_words + words + grammar.after_words if words else ""
    answer = parse(spoken + grammar.opening + grammar.separator.join([call] * calls) + grammar.closing, family=family)
    assert (answer.content, answer.failures, answer.cut) == (words, 0, False)
    assert [(name, json.loads(text)) for name, text in answer.calls] == [
        ("get_weather", {"city": "Pune", "days": 2})
    ] * calls
    assert (grammar.opening + grammar.begin).startswith(grammar.trigger)


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


@pytest.mark.parametrize(
    ("family", "named"),
    [("hermse", "hermes"), ("Plain", "plain"), ("zzz", "hermes, qwen3_coder"), ("llama3_json", "llama_json")],
)
def test_an_unknown_family_is_refused_with_the_nearest(family: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_parser(family, tools=True)
