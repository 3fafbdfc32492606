"""The facts of `CallGrammar` hold: xgrammar takes them, and whatever it lets a model write is read as calls."""

import json
import random

import pytest
import xgrammar

from server.parsing import FAMILIES, CallGrammar
from tests.parsing.case_files import parse

END = 256
SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "enum": [1, 20]},
        "vip": {"type": "boolean"},
        "when": {"type": "object", "properties": {"d": {"type": "null"}}, "required": ["d"]},
        "tags": {"type": "array", "items": {"const": "}"}, "maxItems": 2},
    },
    "required": ["unit", "days", "vip", "when", "tags"],
    "additionalProperties": False,
}
# Each as odd as the protocol allows: at the border of what a name may be, or a word of some family's own.
NAMES = ("2fa_send", "0", "-", "--x", "_", "1-2", "x" * 64, "null", "functions", "function", "commentary", "TOOL_CALLS")
ONE_ARGUMENT = {
    "json": '{"a": 1}',
    "keywords": "a=1",
    "qwen_xml": "<parameter=a>\n1\n</parameter>",
    "glm_xml": "<arg_key>a</arg_key><arg_value>1</arg_value>",
}
BY_GRAMMAR = [name for name, family in FAMILIES.items() if family.grammar and family.grammar.style != "keywords"]


@pytest.fixture(scope="module")
def compiler() -> xgrammar.GrammarCompiler:
    """Every token is a byte, but for the last, which ends the answer."""
    vocabulary = [bytes([i]) for i in range(256)] + [b"<end>"]
    return xgrammar.GrammarCompiler(
        xgrammar.TokenizerInfo(vocabulary, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[END])
    )


def structural_tag(grammar: CallGrammar) -> str:
    call = {
        "type": "tag",
        "begin": grammar.begin + "set" + grammar.middle,
        "content": {"type": "json_schema", "json_schema": SCHEMA, "style": grammar.style},
        "end": grammar.end,
    }
    elements = [
        {"type": "const_string", "value": grammar.opening},
        {"type": "tags_with_separator", "tags": [call], "separator": grammar.separator, "at_least_one": True},
        {"type": "const_string", "value": grammar.closing},
    ]
    kept = [element for element in elements if element.get("value") != ""]
    return json.dumps({"type": "structural_tag", "format": {"type": "sequence", "elements": kept}})


def written(grammar: xgrammar.CompiledGrammar, chance: random.Random) -> str:
    """Any text that the grammar allows; it ends as soon as it may."""
    matcher = xgrammar.GrammarMatcher(grammar)
    bitmask = xgrammar.allocate_token_bitmask(1, END + 1)
    text = bytearray()
    while True:
        matcher.fill_next_token_bitmask(bitmask)
        words = bitmask[0].tolist()
        allowed = [token for token in range(END + 1) if words[token // 32] >> (token % 32) & 1]
        if END in allowed:
            return text.decode()
        visible = [token for token in allowed if chr(token) not in " \n\t"]
        token = chance.choice(visible or allowed) if chance.random() < 0.7 else chance.choice(allowed)
        assert matcher.accept_token(token)
        text.append(token)


@pytest.mark.parametrize("name", BY_GRAMMAR)
@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_grammar_allows_is_read(name: str, seed: int, compiler: xgrammar.GrammarCompiler) -> None:
    grammar = FAMILIES[name].grammar
    assert grammar is not None
    text = written(compiler.compile_structural_tag(structural_tag(grammar)), random.Random(seed))
    answer = parse(text, list(text), name, {"set": SCHEMA})
    assert (answer.content, answer.failures, answer.cut) == ("", 0, False)
    assert text.count("set") == len(answer.calls) > 0
    for tool, arguments in answer.calls:
        value = json.loads(arguments)
        assert tool == "set"
        assert value["unit"] in ("celsius", "fahrenheit") and value["days"] in (1, 20) and value["when"] == {"d": None}
        assert isinstance(value["vip"], bool) and set(value["tags"]) <= {"}"}


@pytest.mark.parametrize("name", BY_GRAMMAR)
def test_the_trigger_begins_the_first_call(name: str) -> None:
    grammar = FAMILIES[name].grammar
    assert grammar is not None and (grammar.opening + grammar.begin).startswith(grammar.trigger)


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.grammar])
@pytest.mark.parametrize("name", NAMES)
def test_a_tool_of_whatever_name_is_called(family: str, name: str) -> None:
    form = FAMILIES[family].grammar
    assert form is not None
    call = form.begin + name + form.middle + ONE_ARGUMENT[form.style] + form.end
    text = form.opening + call + form.separator + call + form.closing
    for pieces in ([text], list(text)):
        answer = parse(text, pieces, family)
        assert [(called, json.loads(arguments)) for called, arguments in answer.calls] == [(name, {"a": 1})] * 2
        assert (answer.content, answer.failures, answer.cut) == ("", 0, False)
