import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import xgrammar

from server.errors import InvalidRequest
from server.parsing import FAMILIES
from server.prompt.constraint import Constraints
from server.protocol import ChatRequest, Message, NamedTool, ResponseFormat, Tool
from tests.prompt.walk import accepts

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

HERMES = FAMILIES["hermes"].grammar
TOOL = Tool("set", parameters=SCHEMA)


def asking(*tools: Tool, **fields: object) -> dict[str, object]:
    return {"model": "electron", "messages": (Message("user", "Hello"),), "tools": tools, **fields}


def call(arguments: str) -> str:
    return f'<tool_call>\n{{"name": "set", "arguments": {arguments}}}\n</tool_call>'


def arguments_of(parameters: dict[str, object] | None, strict: bool = False, **fields: object) -> str | None:
    tools = (Tool("other"), Tool("set", parameters=parameters, strict=strict))
    return Constraints(HERMES).constraint_of(ChatRequest(**asking(*tools, **fields)), "")


def request(form: ResponseFormat) -> ChatRequest:
    return ChatRequest(model="electron", messages=(Message("user", "Hello"),), response_format=form)


def test_text_is_free() -> None:
    assert Constraints().constraint_of(request(ResponseFormat()), "") is None


def test_a_json_object_is_any_object_and_ends() -> None:
    grammar = Constraints().constraint_of(request(ResponseFormat("json_object")), "")
    assert accepts(grammar, '{"a": [1, {"b": null}], "c": "x"}')
    for text in ("[]", '"a"', "{ }", '{"a":  1}', '{"a": 1}\n', '\n{"a": 1}'):
        assert not accepts(grammar, text)


def test_a_schema_is_followed_strictly_where_that_is_asked() -> None:
    loose, strict = (
        Constraints().constraint_of(request(ResponseFormat("json_schema", SCHEMA, flag)), "") for flag in (False, True)
    )
    assert accepts(loose, '{"a": 1, "b": 2}')
    assert not accepts(strict, '{"a": 1, "b": 2}')
    for grammar in (loose, strict):
        assert accepts(grammar, '{"a": 1}')
        assert not accepts(grammar, "{}")


def test_faults_have_paths_into_the_request() -> None:
    schema = {"properties": {"a": {"type": "integer", "multipleOf": 2}, "b": {"not": {}}}}
    with pytest.raises(InvalidRequest, match="multipleOf") as raised:
        Constraints().constraint_of(request(ResponseFormat("json_schema", schema)), "")
    prefix = ("response_format", "json_schema", "schema", "properties")
    assert [detail.path for detail in raised.value.details] == [(*prefix, "a", "multipleOf"), (*prefix, "b", "not")]
    assert raised.value.status == 400


def test_order_of_properties_is_that_of_the_schema() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}, "required": ["z", "a"]}
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", schema, True)), "")
    assert accepts(grammar, '{"z": 1, "a": 2}')


def test_grammars_are_kept_by_content() -> None:
    constraints = Constraints(HERMES)
    first, again = (ChatRequest(**asking(TOOL), response_format=ResponseFormat("json_object")) for _ in range(2))
    assert not constraints.knows(first, "")
    grammar = constraints.constraint_of(first, "")
    assert constraints.knows(again, "") and constraints.constraint_of(again, "") is grammar
    for other in ({"tool_choice": "required"}, {"parallel_tool_calls": False}, {"tools": (TOOL, Tool("other"))}):
        assert not constraints.knows(ChatRequest(**{**asking(TOOL), **other}), "")
    assert not constraints.knows(first, "", 'filler ::= "One"')


def test_threads_share_the_cache() -> None:
    constraints = Constraints(kept=4)
    forms = [ResponseFormat("json_schema", {"enum": [index % 8]}) for index in range(200)]
    with ThreadPoolExecutor(16) as workers:
        grammars = list(workers.map(lambda form: constraints.constraint_of(request(form), ""), forms))
    assert all(accepts(grammar, str(index % 8)) for index, grammar in enumerate(grammars))


@pytest.mark.parametrize(
    "schema", [{}, SCHEMA, {"type": "string", "pattern": "^a$"}, {"enum": ["::=", "root ::= x", "// # é"]}]
)
def test_the_text_is_read_back_as_ebnf(schema: dict[str, object]) -> None:
    """The engine tells EBNF from Lark by the first line that says something."""
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", schema)), "")
    assert grammar is not None
    assert "::=" in grammar.splitlines()[0].partition("#")[0].partition("//")[0]
    assert str(xgrammar.Grammar.from_ebnf(grammar))


def test_strings_of_the_schema_are_no_grammar() -> None:
    texts = [
        '" | root',
        'a" b',
        "\\",
        '\\"',
        "(([^\\",
        '[^"\\\r\n]',
        "\x00\x1f",
        "\u2028",
        "a\\x41",
        "éa",
        "\x7fb",
        "😀f",
    ]
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", {"enum": texts})), "")
    for text in texts:
        written = json.dumps(text, ensure_ascii=False)
        if text != "\x7fb":  # the compiler writes this one as an escape
            assert accepts(grammar, written), written
    assert not accepts(grammar, '"a"')


UNKEPT = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "multipleOf": 2},
        "b": {"type": "string", "pattern": "^(?=x)"},
        "c": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    },
    "required": ["a", "b", "c"],
}
FORCED = ({"tool_choice": "required"}, {"tool_choice": NamedTool("set")}, {"strict": True})


@pytest.mark.parametrize("fields", FORCED)
def test_what_was_promised_and_cannot_be_kept_is_refused_by_tool_and_keyword(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        arguments_of(UNKEPT, **fields)
    prefix = ("tools", "1", "function", "parameters", "properties")
    paths = {detail.path for detail in raised.value.details}
    assert paths == {(*prefix, "a", "multipleOf"), (*prefix, "b", "pattern"), (*prefix, "c", "uniqueItems")}


def test_what_was_not_promised_is_kept_as_far_as_it_can_be() -> None:
    grammar = arguments_of(UNKEPT)
    assert accepts(grammar, call('{"a": 3, "b": "y", "c": [1, 1]}'))
    assert not accepts(grammar, call('{"a": 3, "b": "y", "c": ["x"]}'))
    assert not accepts(grammar, call('{"a": 3}'))


@pytest.mark.parametrize("parameters", [{"properties": {"a": {"not": {}}}}, {"$ref": "https://example.com/a"}])
def test_where_nothing_can_be_kept_any_object_will_do(parameters: dict[str, object]) -> None:
    assert accepts(arguments_of(parameters), call('{"a": 1}'))
    assert not accepts(arguments_of(parameters), call("[]"))


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "objekt"},
        {"type": "string"},
        {"type": ["object", "null"]},
        {"properties": {"a": {"required": True}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"anyOf": [{"type": "object"}, {"type": "null"}]},
    ],
)
def test_what_is_no_schema_of_arguments_is_refused_whatever_was_promised(parameters: dict[str, object]) -> None:
    for fields in ({}, *FORCED):
        with pytest.raises(InvalidRequest) as raised:
            arguments_of(parameters, **fields)
        assert raised.value.details[0].path[:4] == ("tools", "1", "function", "parameters")


NAMELESS = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "parameters",
    [
        *(None, {}, {"description": "nothing"}, {"$schema": "x", "title": "t"}),
        *({"type": "object"}, {"properties": {}}, NAMELESS, {**NAMELESS, "required": []}),
        {**NAMELESS, "additionalProperties": False},
    ],
)
def test_a_tool_without_parameters_takes_none(parameters: dict[str, object] | None) -> None:
    for fields in ({}, *FORCED):
        grammar = arguments_of(parameters, **fields)
        assert accepts(grammar, call("{}"))
        assert not accepts(grammar, call('{"a": 1}'))


@pytest.mark.parametrize(
    "more",
    [
        *({"additionalProperties": True}, {"additionalProperties": {"type": "integer"}}, {"required": ["a"]}),
        *({"patternProperties": {"^a$": {}}}, {"minProperties": 1}, {"propertyNames": {"maxLength": 1}}),
    ],
)
def test_one_that_allows_what_it_does_not_name_takes_it(more: dict[str, object]) -> None:
    for fields in ({}, *FORCED[:2]):
        assert accepts(arguments_of({**NAMELESS, **more}, **fields), call('{"a": 1}'))


def test_a_condition_that_cannot_be_kept_is_not_taken_for_none() -> None:
    with pytest.raises(InvalidRequest, match="not"):
        arguments_of({**NAMELESS, "not": {"required": ["a"]}}, tool_choice="required")


def test_which_objects_take_more_than_they_list() -> None:
    inner = {"type": "object"}
    schema = {"type": "object", "properties": {"a": inner, "b": {**SCHEMA, "additionalProperties": True}}}
    loose, strict = arguments_of(schema), arguments_of(schema, strict=True)
    for grammar in (loose, strict):
        assert accepts(grammar, call('{"b": {"a": 1, "x": 2}}'))
        assert not accepts(grammar, call('{"x": 1}'))
    assert accepts(loose, call('{"a": {"x": 1}}'))
    assert not accepts(strict, call('{"a": {"x": 1}}'))


def test_only_the_named_tool_has_to_have_a_schema_that_can_be_kept() -> None:
    tools = (Tool("other", parameters=UNKEPT), TOOL)
    constraints = Constraints(HERMES)
    grammar = constraints.constraint_of(ChatRequest(**asking(*tools, tool_choice=NamedTool("set"))), "")
    assert accepts(grammar, call('{"a": 1}'))
    with pytest.raises(InvalidRequest):
        constraints.constraint_of(ChatRequest(**asking(*tools, tool_choice="required")), "")


def test_a_reference_leads_to_the_arguments() -> None:
    schema = {"$ref": "#/$defs/all", "$defs": {"all": SCHEMA}}
    assert accepts(arguments_of(schema, tool_choice="required"), call('{"a": 1}'))


def test_there_is_an_end_to_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {"type": "object", "properties": {"a": {"enum": ["y" * 100]}}}
    tools = tuple(Tool(f"tool_{index}", parameters=parameters) for index in range(8))
    monkeypatch.setattr("server.prompt.constraint.MAX_SCHEMAS", 7 * len(json.dumps(parameters)))
    constraints = Constraints(HERMES)
    grammar = constraints.constraint_of(ChatRequest(**asking(*tools)), "")
    assert not accepts(grammar, call('{"a": "x"}').replace("set", "tool_0"))
    assert accepts(grammar, call('{"a": "x"}').replace("set", "tool_7"))
    with pytest.raises(InvalidRequest) as raised:
        constraints.constraint_of(ChatRequest(**asking(*tools, tool_choice="required")), "")
    assert raised.value.details[-1].path == ("tools", "7", "function", "parameters")
