import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import xgrammar

from server.errors import InvalidRequest
from server.prompt.constraint import Constraints
from server.protocol import ChatRequest, Message, ResponseFormat

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def request(form: ResponseFormat) -> ChatRequest:
    return ChatRequest(model="electron", messages=(Message("user", "Hello"),), response_format=form)


def accepts(grammar: str | None, text: str) -> bool:
    assert grammar is not None
    return bool(xgrammar.testing._is_grammar_accept_string(xgrammar.Grammar.from_ebnf(grammar), text))


def test_text_is_free() -> None:
    assert Constraints().constraint_of(request(ResponseFormat())) is None


def test_a_json_object_is_any_object_and_ends() -> None:
    grammar = Constraints().constraint_of(request(ResponseFormat("json_object")))
    assert accepts(grammar, '{"a": [1, {"b": null}], "c": "x"}')
    for text in ("[]", '"a"', "{ }", '{"a":  1}', '{"a": 1}\n', '\n{"a": 1}'):
        assert not accepts(grammar, text)


def test_a_schema_is_followed_strictly_where_that_is_asked() -> None:
    loose, strict = (
        Constraints().constraint_of(request(ResponseFormat("json_schema", SCHEMA, flag))) for flag in (False, True)
    )
    assert accepts(loose, '{"a": 1, "b": 2}')
    assert not accepts(strict, '{"a": 1, "b": 2}')
    for grammar in (loose, strict):
        assert accepts(grammar, '{"a": 1}')
        assert not accepts(grammar, "{}")


def test_faults_have_paths_into_the_request() -> None:
    schema = {"properties": {"a": {"type": "integer", "multipleOf": 2}, "b": {"not": {}}}}
    with pytest.raises(InvalidRequest, match="multipleOf") as raised:
        Constraints().constraint_of(request(ResponseFormat("json_schema", schema)))
    prefix = ("response_format", "json_schema", "schema", "properties")
    assert [detail.path for detail in raised.value.details] == [(*prefix, "a", "multipleOf"), (*prefix, "b", "not")]
    assert raised.value.status == 400


def test_order_of_properties_is_that_of_the_schema() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}, "required": ["z", "a"]}
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", schema, True)))
    assert accepts(grammar, '{"z": 1, "a": 2}')


def test_grammars_are_kept_by_content_and_forgotten_in_turn() -> None:
    constraints = Constraints(kept=2)
    forms = [ResponseFormat("json_schema", {"const": index}) for index in range(3)]
    first = constraints.constraint_of(request(forms[0]))
    assert constraints.constraint_of(request(ResponseFormat("json_schema", {"const": 0}))) is first
    for form in forms[1:]:
        constraints.constraint_of(request(form))
    again = constraints.constraint_of(request(forms[0]))
    assert again == first
    assert again is not first


def test_threads_share_the_cache() -> None:
    constraints = Constraints(kept=4)
    forms = [ResponseFormat("json_schema", {"enum": [index % 8]}) for index in range(200)]
    with ThreadPoolExecutor(16) as workers:
        grammars = list(workers.map(lambda form: constraints.constraint_of(request(form)), forms))
    assert all(accepts(grammar, str(index % 8)) for index, grammar in enumerate(grammars))


@pytest.mark.parametrize(
    "schema", [{}, SCHEMA, {"type": "string", "pattern": "^a$"}, {"enum": ["::=", "root ::= x", "// # é"]}]
)
def test_the_text_is_read_back_as_ebnf(schema: dict[str, object]) -> None:
    """The engine tells EBNF from Lark by the first line that says something."""
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", schema)))
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
    grammar = Constraints().constraint_of(request(ResponseFormat("json_schema", {"enum": texts})))
    for text in texts:
        written = json.dumps(text, ensure_ascii=False)
        if text != "\x7fb":  # the compiler writes this one as an escape
            assert accepts(grammar, written), written
    assert not accepts(grammar, '"a"')
