"""What may be said in a turn, for each way to ask for it."""

import json
import random

import pytest

from server.errors import InvalidRequest
from server.parsing import FAMILIES, collect, make_parser
from server.prompt.constraint import Constraints
from server.protocol import ChatRequest, Message, NamedTool, ResponseFormat, Tool
from server.records import CallGrammar
from tests.prompt.walk import accepts, walk

HERMES = FAMILIES["hermes"].grammar
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = (Tool("weather", parameters=CITY), Tool("hang-up"))
SENTENCE = 'filler ::= filler_word " moment."\nfiller_word ::= "One" | "Un"\n'
WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "Pune"}}\n</tool_call>'
HANG_UP = '<tool_call>\n{"name": "hang-up", "arguments": {}}\n</tool_call>'
WORDS = "One moment."
JSON = ResponseFormat("json_object")
THOUGHT = ("<think>", "</think>")


def grammar_of(
    sentence: str | None = None,
    form: CallGrammar | None = HERMES,
    thought: tuple[str, str] | None = None,
    prompt: str = "",
    **fields: object,
) -> str | None:
    fields = {"messages": (Message("user", "Hello"),), "tools": TOOLS, **fields}
    return Constraints(form, thought).constraint_of(ChatRequest(model="electron", **fields), prompt, sentence)


def test_auto_speaks_or_calls() -> None:
    grammar = grammar_of()
    for text in (
        "",
        "It is sunny. 5 < 6 {}",
        "Hello <tool_cal",
        WEATHER,
        f"Let me see.\n{WEATHER}",
        f"{HANG_UP}\n{WEATHER}",
    ):
        assert accepts(grammar, text), text


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "Hello <tool_call> you",
        WEATHER.replace("weather", "whether"),
        WEATHER.replace("city", "town"),
        WEATHER.replace('"Pune"', "5"),
        WEATHER.replace('"Pune"', '"Pune", "b": 1'),
        HANG_UP.replace("{}", '{"a": 1}'),
        WEATHER + WEATHER,
        WEATHER + " Done.",
        WEATHER.replace(": ", ":  "),
    ],
)
def test_a_call_that_has_begun_is_kept_to_its_schema(text: str) -> None:
    assert not accepts(grammar_of(), text)


def test_one_call_at_a_time() -> None:
    grammar = grammar_of(parallel_tool_calls=False)
    assert accepts(grammar, "Yes." + WEATHER)
    assert not accepts(grammar, f"{HANG_UP}\n{WEATHER}")


@pytest.mark.parametrize(("choice", "allowed"), [("required", {WEATHER, HANG_UP}), (NamedTool("weather"), {WEATHER})])
def test_a_forced_call_is_one_call_and_nothing_else(choice: object, allowed: set[str]) -> None:
    grammar = grammar_of(tool_choice=choice)
    for text in (WEATHER, HANG_UP, "", "Hello.", f"One moment.\n{WEATHER}", f"{HANG_UP}\n{WEATHER}"):
        assert accepts(grammar, text) == (text in allowed), text


def test_none_cannot_call() -> None:
    grammar = grammar_of(tool_choice="none")
    assert accepts(grammar, "It is sunny {}.")
    assert not accepts(grammar, "So: " + WEATHER)
    assert not accepts(grammar, "<tool_call>")


def test_without_tools_nothing_is_said_of_them() -> None:
    assert grammar_of(tools=()) is None
    assert accepts(grammar_of(tools=(), response_format=JSON), '{"a": "<tool_call>"}')


def test_json_or_a_call() -> None:
    grammar = grammar_of(response_format=JSON)
    for text in (WEATHER, f"{WEATHER}\n{HANG_UP}", "{}", '{"a": "<tool_call>"}'):
        assert accepts(grammar, text), text
    for text in ("", "Hello.", "{}\n" + WEATHER, "Hello.\n" + WEATHER):
        assert not accepts(grammar, text), text
    assert not accepts(grammar_of(response_format=JSON, tool_choice="required"), "{}")
    assert not accepts(grammar_of(response_format=JSON, tool_choice="none"), WEATHER)


def test_with_a_sentence_a_call_has_words_before_it_and_an_answer_is_free() -> None:
    grammar = grammar_of(SENTENCE)
    for text in (
        f"{WORDS}\n{WEATHER}",
        f"Un moment.\n{WEATHER}\n{HANG_UP}",
        "",
        WORDS,
        "It is sunny.\nAnd warm.",
        "One",
    ):
        assert accepts(grammar, text), text
    for text in (WEATHER, f"\n{WEATHER}", f"It is sunny.\n{WEATHER}", WORDS + WEATHER, f"{WORDS}\n\n{WEATHER}"):
        assert not accepts(grammar, text), text


def test_a_sentence_before_forced_calls_and_beside_json() -> None:
    forced = grammar_of(SENTENCE, tool_choice="required")
    assert accepts(forced, f"{WORDS}\n{HANG_UP}")
    assert not any(accepts(forced, text) for text in (WORDS, HANG_UP, f"{WORDS}\n{HANG_UP}\n{WEATHER}"))
    either = grammar_of(SENTENCE, response_format=JSON)
    assert accepts(either, "{}") and accepts(either, f"{WORDS}\n{HANG_UP}")
    assert not accepts(either, WORDS) and not accepts(either, HANG_UP) and not accepts(either, WORDS + "\n{}")


def test_what_stands_around_words_is_the_family_s() -> None:
    form = FAMILIES["gpt_oss"].grammar
    assert form is not None
    call = f"{form.begin}hang-up{form.middle}{{}}"
    grammar = grammar_of(SENTENCE, form, tool_choice="required")
    assert accepts(grammar, f"<|channel|>commentary<|message|>{WORDS}<|end|><|start|>assistant{call}")
    assert not accepts(grammar, WORDS + call)


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_thought_may_come_first(choice: str) -> None:
    grammar = grammar_of(thought=THOUGHT, tool_choice=choice)
    for text in (WEATHER, f"<think>\nA <tool_call>?\n</think>\n\n{WEATHER}", f"<think></think>{WEATHER}"):
        assert accepts(grammar, text), text
    for text in (f"<think>A{WEATHER}", f"<think>A</think>\n\n\n\n\n<think>{WEATHER}", "</think>" * (choice != "auto")):
        assert not accepts(grammar, text) or not text, text


def test_a_thought_that_the_prompt_has_opened_is_closed_first() -> None:
    for fields in ({}, {"tool_choice": "required"}, {"response_format": JSON}, {"tool_choice": "none"}):
        answer = "{}" if fields.get("response_format") else WEATHER if fields.get("tool_choice") != "none" else "Hi."
        grammar = grammar_of(thought=THOUGHT, prompt="assistant\n<think>\n", **fields)
        assert accepts(grammar, f"A call?\n</think>\n\n{answer}")
        assert not accepts(grammar, answer)


def test_json_is_not_thought_about_unless_the_prompt_says_so() -> None:
    assert not accepts(grammar_of(thought=THOUGHT, response_format=JSON), "<think></think>{}")


def test_a_model_whose_calls_are_not_known_cannot_be_made_to_call() -> None:
    assert grammar_of(form=None) is None
    assert accepts(grammar_of(form=None, response_format=JSON), "{}")
    with pytest.raises(InvalidRequest) as raised:
        grammar_of(form=None, tool_choice="required")
    assert raised.value.details[0].path == ("tool_choice",)


def test_a_form_without_an_exact_grammar_is_left_alone_until_something_is_promised() -> None:
    form = FAMILIES["qwen3_coder"].grammar
    assert grammar_of(form=form) is None
    strict = (Tool("weather", parameters=CITY, strict=True),)
    for fields in ({"tools": strict}, {"sentence": SENTENCE}, {"tool_choice": "required"}):
        words = f"{WORDS}\n" if "sentence" in fields else ""
        assert accepts(grammar_of(form=form, **fields), words + WEATHER)


def test_calls_that_are_json_are_not_mixed_with_an_answer_in_json() -> None:
    form = FAMILIES["llama_json"].grammar
    with pytest.raises(InvalidRequest) as raised:
        grammar_of(form=form, response_format=JSON)
    assert raised.value.details[0].path == ("response_format", "type")
    assert accepts(grammar_of(form=form, response_format=JSON, tool_choice="none"), '{"name": "x"}')


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.grammar])
@pytest.mark.parametrize("choice", ["required", "auto"])
def test_what_every_family_is_made_to_write_is_read(name: str, choice: str) -> None:
    family = FAMILIES[name]
    strict = (Tool("weather", parameters=CITY, strict=True), TOOLS[1])
    form = family.grammar.in_json or family.grammar
    grammar = grammar_of(SENTENCE, family.grammar, tools=strict, tool_choice=choice)
    for seed in range(20):
        text = walk(grammar, random.Random(seed), form.before_words + WORDS + form.after_words + form.trigger)
        parser = make_parser(family, tools=True, schemas={tool.name: tool.parameters or {} for tool in strict})
        message = collect([*parser.feed(text), *parser.finish()])
        assert (message.content, parser.failures) == (WORDS, 0)
        for call in message.calls:
            keys = json.loads(call.arguments).keys()
            assert keys == ({"city"} if call.name == "weather" else set())
        assert message.calls if choice == "auto" else len(message.calls) == 1
