"""Invariant: what the grammar lets through is JSON, ends, and is valid under the schema as it was given."""

import json
import random
from collections.abc import Iterator

import jsonschema
import numpy as np
import pytest
import xgrammar
from hypothesis import given, settings
from hypothesis import strategies as st

from server.nano import model_path
from server.prompt.constraint import json_grammar
from server.prompt.schema import SchemaError

MOST_STEPS = 120


class Walker:
    """Writes at random what a grammar allows, in tokens of the embedded model."""

    def __init__(self) -> None:
        from transformers import AutoTokenizer

        info = xgrammar.TokenizerInfo.from_huggingface(AutoTokenizer.from_pretrained(str(model_path())))
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self._vocabulary = info.decoded_vocab
        self._stops = set(info.stop_token_ids)
        closing = (b'"', b"}", b"]", b'"}', b", ", b",")
        self._closing = {index for index, token in enumerate(self._vocabulary) if token in closing}

    def texts(self, grammar: str, seed: int, count: int = 3) -> Iterator[bytes | None]:
        """None for one that did not end in time."""
        compiled = self._compiler.compile_grammar(grammar)
        for index in range(count):
            yield self._text(xgrammar.GrammarMatcher(compiled), random.Random(seed + index))

    def _text(self, matcher: xgrammar.GrammarMatcher, choose: random.Random) -> bytes | None:
        bitmask = xgrammar.allocate_token_bitmask(1, len(self._vocabulary))
        text = b""
        for step in range(MOST_STEPS):
            matcher.fill_next_token_bitmask(bitmask)
            bits = np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")[: len(self._vocabulary)]
            allowed = [int(index) for index in np.flatnonzero(bits)]
            assert allowed, f"nothing may follow {text!r}"
            tokens = [token for token in allowed if token not in self._stops]
            if len(tokens) < len(allowed) and (not tokens or choose.random() < 0.5):
                return text
            closing = [token for token in tokens if token in self._closing]
            towards_the_end = closing and choose.random() < 0.4 + step / MOST_STEPS
            token = choose.choice(closing if towards_the_end else tokens)
            assert matcher.accept_token(token)
            text += self._vocabulary[token]
        return None


@pytest.fixture(scope="module")
def walker() -> Walker:
    return Walker()


def grammar_of(schema: object, strict: bool = False) -> str:
    return json_grammar(json.dumps(schema).encode(), strict)


def accepts(schema: object, text: str, strict: bool = False) -> bool:
    grammar = xgrammar.Grammar.from_ebnf(grammar_of(schema, strict))
    return bool(xgrammar.testing._is_grammar_accept_string(grammar, text))


# Random schemas, of what is supported and of what is not.

names = st.sampled_from(["a", "b", "c d", 'q"', "éa", "x1"])
counts = st.integers(0, 3)
figures = st.integers(-50, 50) | st.floats(-50, 50, allow_nan=False).map(lambda figure: round(figure, 2))
values = st.none() | st.booleans() | figures | st.text('ab"\\\n\x7fé😀日', max_size=4)


def parts(required: dict[str, object], /, **optional: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    fixed = {key: value if isinstance(value, st.SearchStrategy) else st.just(value) for key, value in required.items()}
    return st.fixed_dictionaries(fixed, optional=optional)


patterns = st.sampled_from(["^a+$", "b", "^[a-c]{2,3}$", "^x|y$", "^(ab|cd)*$", "^[^a]$", "a.b", "^éa$"])
strings = (
    parts({"type": "string"}, minLength=counts, maxLength=counts)
    | parts({"type": "string", "pattern": patterns})
    | parts({"type": "string", "format": st.sampled_from(["date", "uuid", "email", "ipv4", "time", "date-time"])})
)
numbers = parts(
    {"type": st.sampled_from(["integer", "number"])},
    minimum=figures,
    maximum=figures,
    exclusiveMinimum=figures,
    exclusiveMaximum=figures,
)
leaves = (
    st.sampled_from([{}, True, False, {"type": "boolean"}, {"type": "null"}])
    | strings
    | numbers
    | parts({"enum": st.lists(values, min_size=1, max_size=3)}, type=st.sampled_from(["string", "number"]))
    | parts({"const": values})
    | parts({"$ref": st.sampled_from(["#/$defs/d", "#/$defs/e", "#"])})
    | parts(
        {"type": st.lists(st.sampled_from(["string", "null", "integer", "object"]), min_size=1, max_size=2)},
        minLength=counts,
        maximum=figures,
    )
    | parts({}, minLength=counts, minimum=figures)
)


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return (
        parts(
            {"type": "object"},
            properties=st.dictionaries(names, inner, max_size=3),
            required=st.lists(names, max_size=2),
            additionalProperties=inner,
            minProperties=counts,
            maxProperties=counts,
        )
        | parts(
            {"type": "object"},
            patternProperties=st.dictionaries(st.sampled_from(["^x", "y$", "^[ab]$"]), inner, max_size=1),
            propertyNames=strings,
            additionalProperties=inner,
        )
        | parts(
            {"type": "array"},
            items=inner,
            prefixItems=st.lists(inner, min_size=1, max_size=2),
            minItems=counts,
            maxItems=counts,
        )
        | parts(
            {"anyOf": st.lists(inner, min_size=1, max_size=3)}, type=st.sampled_from(["object", "string", "number"])
        )
        | parts({"oneOf": st.lists(inner, min_size=1, max_size=2)})
        | parts({"allOf": st.lists(inner, min_size=1, max_size=1)})
    )


schemas = st.recursive(leaves, containers, max_leaves=6)


@given(root=schemas, d=schemas, e=schemas, strict=st.booleans(), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_whatever_comes_out_is_valid(
    walker: Walker, root: object, d: object, e: object, strict: bool, seed: int
) -> None:
    whole = {**(root if isinstance(root, dict) else {"anyOf": [root]}), "$defs": {"d": d, "e": e}}
    try:
        grammar = grammar_of(whole, strict)
    except SchemaError as error:
        assert "cannot be made" not in str(error), "every fault is found before the compiler, and has a path"
        return
    for text in walker.texts(grammar, seed):
        if text is not None and _is_utf8(text):
            jsonschema.Draft202012Validator(whole).validate(json.loads(text))


def _is_utf8(text: bytes) -> bool:
    """Grammars allow some sequences of bytes that no tokenizer of text was ever trained on."""
    try:
        return bool(text.decode())
    except UnicodeDecodeError:
        return False


CORPUS: list[tuple[object, list[str], list[str]]] = [
    (
        {"type": "object"},
        ["{}", '{"a": {"b": [1, 2.5e3, null]}}', '{"\\u00e9": true}'],
        ["[]", "{ }", '{"a":1}', "{} ", "{,}"],
    ),
    ({}, ["1", '"a"', "null", "[]", "{}"], ["", "nul", "01"]),
    (True, ["1", "{}"], ["x"]),
    ({"type": "string"}, ['""', '"a\\n\\u00e9\\""', '"é😀"'], ['"a\n"', '"', "'a'", '"\\x"']),
    ({"type": "integer"}, ["0", "-12"], ["1.0", "01", "1e3"]),
    ({"type": "integer", "minimum": -5, "maximum": 120}, ["-5", "0", "120"], ["-6", "121"]),
    ({"type": "integer", "exclusiveMinimum": 1.5, "maximum": 3.5}, ["2", "3"], ["1", "4"]),
    ({"type": "number", "minimum": 0.5, "exclusiveMaximum": 2}, ["0.5", "1.999"], ["0.49", "2", "2.0", "1e9"]),
    ({"type": "boolean"}, ["true"], ["1"]),
    ({"type": ["string", "null"], "minLength": 2}, ['"ab"', "null"], ['"a"', "1"]),
    (
        {"type": "string", "minLength": 2, "maxLength": 3},
        ['"ab"', '"é😀"', '"a\\n\\""'],
        ['"a"', '"abcd"', '"a\t"', '"\x01b"'],
    ),
    ({"type": "string", "maxLength": 1}, ['""', '"a"', '"\\""'], ['"ab"', '"\x0b"', '"""']),
    ({"type": "string", "minLength": 1, "maxLength": 1}, ['"a"', '"\\n"'], ['""', '"\t"']),
    ({"type": "string", "minLength": 1}, ['"ab\\n"'], ['""', '"\t"']),
    ({"type": "string", "minLength": 1.0, "maxLength": 2.0}, ['"ab"'], ['""', '"abc"']),
    ({"type": "string", "maxLength": 0}, ['""'], ['"a"']),
    ({"type": "string", "pattern": "^[a-z]+$"}, ['"abc"'], ['"aB"', '""']),
    ({"type": "string", "pattern": "b"}, ['"abc"', '"b"'], ['"ac"']),
    ({"type": "string", "format": "date"}, ['"2026-01-31"'], ['"2026-13-01"']),
    ({"type": "string", "format": "uuid"}, ['"9db74058-2421-4793-8796-b2629ff3eb1c"'], ['"x"']),
    ({"type": "integer", "format": "int32"}, ["1"], ['"1"']),
    (
        {"enum": ["é", "éa", "ÿf", 'q"\\', "a\nb", 1, None, {"a": [1]}]},
        ['"é"', '"éa"', '"ÿf"', '"q\\"\\\\"', '"a\\nb"', "1", "null", '{"a":[1]}'],
        ['"e"', "2", '"\u0e9a"'],
    ),
    ({"type": "string", "enum": ["a", 1]}, ['"a"'], ["1"]),
    ({"const": "日本"}, ['"日本"'], ['"日"']),
    ({"type": "array"}, ["[]", '[1, "a"]'], ["[1,2]", "[,]", "{}"]),
    (
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ["[1]", "[1, 2, 3]"],
        ["[]", "[1, 2, 3, 4]", '["a"]'],
    ),
    (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        ["[]", '["a"]', '["a", 1, null]'],
        ["[1]"],
    ),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, ['["a"]'], ['["a", 1]']),
    ({"type": "array", "prefixItems": [{}, {}], "maxItems": 1}, ["[]", "[1]"], ["[1, 2]"]),
    (
        {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
        ['{"a": 1}', '{"a": 1, "b": []}'],
        ["{}", '{"a": "x"}', '{"a": 1, "a": "x"}', '{"\\u0061": 1}'],
    ),
    ({"type": "object", "required": ["z"]}, ['{"z": 1}'], ["{}"]),
    ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, ["{}", '{"a": 1}'], ['{"b": 1}']),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, ['{"a": 1, "b": 2}'], ['{"a": "x"}']),
    ({"type": "object", "properties": {"éa": {"type": "integer"}}}, ['{"éa": 1}'], ['{"éa": 1, "éa": "x"}']),
    ({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}}, ['{"x-a": 1}', "{}"], ['{"x-a": "s"}']),
    ({"type": "object", "propertyNames": {"pattern": "^x+$"}}, ['{"xx": []}'], ['{"y": 1}']),
    (
        {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False, "minProperties": 1},
        ['{"b": 1}'],
        ["{}"],
    ),
    ({"type": "object", "additionalProperties": True, "maxProperties": 1}, ["{}", '{"a": 1}'], ['{"a": 1, "b": 2}']),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ['"a"', "null"], ["1"]),
    ({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, ['{"a": 1}', '{"b": 1}'], ["{}", "1"]),
    ({"type": "number", "anyOf": [{"minimum": 5}, {"type": "integer"}]}, ["5.5", "1"], ["1.5", '"a"']),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}, {"const": None}]}, ['"a"', "1", "null"], ["true"]),
    ({"allOf": [{"$ref": "#/$defs/a~1b"}], "$defs": {"a/b": {"type": "null"}}}, ["null"], ["1"]),
    (
        {
            "$ref": "#/definitions/t",
            "definitions": {
                "t": {
                    "type": "object",
                    "properties": {"children": {"type": "array", "items": {"$ref": "#/definitions/t"}}},
                    "required": ["children"],
                    "additionalProperties": False,
                }
            },
        },
        ['{"children": []}', '{"children": [{"children": []}, {"children": []}]}'],
        ["{}", '{"children": [1]}'],
    ),
    (
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
        ['{"next": {"next": null}}'],
        ['{"next": 1}'],
    ),
    (
        {
            "type": "object",
            "title": "T",
            "description": "d",
            "default": {},
            "examples": [],
            "$schema": "x",
            "$id": "y",
            "$comment": "c",
            "x-own": 1,
            "deprecated": True,
            "nullable": True,
        },
        ["{}"],
        ["null"],
    ),
    ({"type": "string", "uniqueItems": False, "unevaluatedProperties": True, "not": False}, ['"a"'], ["1"]),
]


@pytest.mark.parametrize(("schema", "good", "bad"), CORPUS, ids=lambda value: json.dumps(value)[:50])
def test_the_corpus(schema: object, good: list[str], bad: list[str]) -> None:
    for text in good:
        json.loads(text)
        assert accepts(schema, text), text
    for text in bad:
        assert not accepts(schema, text), text


def test_strict_objects_take_what_is_listed_alone() -> None:
    schema = {"type": "object", "properties": {"a": {}, "b": {"type": "object"}}}
    for text in ('{"c": 1}', '{"b": {"c": 1}}'):
        assert accepts(schema, text)
        assert not accepts(schema, text, strict=True)
    assert accepts(schema, '{"a": {"c": 1}, "b": {}}', strict=True)
    assert accepts({**schema, "additionalProperties": True}, '{"c": 1}', strict=True)
    assert accepts({"type": "array"}, "[1]", strict=True)


DISCRIMINATED = {
    "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
    "$defs": {
        kind: {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]}
        for kind in ("cat", "dog")
    },
}


def test_one_of_schemas_that_exclude_one_another() -> None:
    assert accepts(DISCRIMINATED, '{"kind": "cat"}')
    assert not accepts(DISCRIMINATED, '{"kind": "cow"}')
    closed = [
        {"type": "object", "required": [name], "properties": {name: {}}, "additionalProperties": False} for name in "ab"
    ]
    assert accepts({"oneOf": closed}, '{"a": 1}')


FAULTS: list[tuple[object, str, str]] = [
    ({"type": "integer", "multipleOf": 2}, "multipleOf", "not supported"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems", "not supported"),
    ({"properties": {"a": {"contains": {}}}}, "properties.a.contains", "not supported"),
    ({"items": {"not": {}}}, "items.not", "not supported"),
    ({"if": {}, "then": {}}, "if", "not supported"),
    ({"dependentRequired": {"a": ["b"]}}, "dependentRequired", "not supported"),
    ({"unevaluatedProperties": False}, "unevaluatedProperties", "not supported"),
    ({"$dynamicRef": "#a"}, "$dynamicRef", "not supported"),
    ({"properties": {"a": {"$id": "x"}}}, "properties.a.$id", "within a schema"),
    ({"allOf": [{}, {}]}, "allOf", "more than one"),
    ({"allOf": [{}], "minimum": 1}, "minimum", "beside `allOf`"),
    ({"anyOf": [{}], "properties": {}}, "properties", "beside `anyOf`"),
    ({"type": "string", "anyOf": [{"type": "integer"}]}, "type", "beside this `anyOf`"),
    ({"$ref": "#/$defs/a", "minLength": 1, "$defs": {"a": {}}}, "minLength", "beside `$ref`"),
    ({"enum": ["a"], "pattern": "a"}, "pattern", "beside `enum`"),
    ({"oneOf": [{"type": "string"}, {"type": "string", "minLength": 1}]}, "oneOf", "overlap"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf", "overlap"),
    ({"oneOf": [{"$ref": "#/$defs/a"}, {"type": "null"}], "$defs": {"a": {"enum": [1, None]}}}, "oneOf", "overlap"),
    ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "anyOf.0.$ref", "back to itself"),
    ({"$ref": "https://example.com/schema"}, "$ref", "within the schema"),
    ({"$ref": "#/$defs/missing"}, "$ref", "leads to no schema"),
    ({"$ref": "#anchor", "$defs": {"a": {"$anchor": "anchor"}}}, "$ref", "leads to no schema"),
    ({"$ref": "#/title", "title": "x"}, "$ref", "leads to no schema"),
    ({"$ref": "#"}, "$ref", "never ends"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "properties.a.$ref", "never ends"),
    (
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}},
        "$ref",
        "never ends",
    ),
    ({"type": "strin"}, "type", "expected one of"),
    ({"type": []}, "type", "expected one of"),
    ({"properties": []}, "properties", "expected an object"),
    ({"properties": {"a": 3}}, "properties", "expected an object"),
    ({"required": "a"}, "required", "list of strings"),
    ({"enum": []}, "enum", "not empty"),
    ({"items": [{}]}, "items", "expected a schema"),
    ({"type": "string", "minLength": -1}, "minLength", "whole number"),
    ({"type": "array", "minItems": 10_001}, "minItems", "10000"),
    ({"type": "integer", "exclusiveMinimum": True}, "exclusiveMinimum", "a number"),
    ({"type": "string", "pattern": "(?=a)"}, "pattern", "look-around"),
    ({"type": "string", "pattern": "a", "minLength": 1}, "minLength", "beside `pattern`"),
    ({"type": "string", "pattern": "a", "format": "date"}, "format", "beside `pattern`"),
    ({"type": "string", "format": "password"}, "format", "password"),
    ({"type": "string", "minLength": 2, "maxLength": 1}, "minLength", "greater"),
    ({"type": "integer", "minimum": 2, "maximum": 1}, "minimum", "no number"),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "minimum", "no number"),
    ({"type": "number", "minimum": 1e-10, "maximum": 1e-9}, "minimum", "no number"),
    ({"type": "number", "maximum": 1e300}, "maximum", "must be between"),
    ({"const": 2**60}, "const", "whole numbers"),
    ({"type": "string", "enum": [1]}, "enum", "no value"),
    ({"type": "array", "prefixItems": [{}], "items": False, "minItems": 2}, "minItems", "more than"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "required", "'a'"),
    ({"type": "object", "properties": {"a": {}}, "patternProperties": {"b": {}}}, "patternProperties", "beside"),
    ({"type": "object", "patternProperties": {"a": {}, "b": {}}}, "patternProperties", "more than one"),
    ({"type": "object", "propertyNames": {"type": "integer"}}, "propertyNames", "strings"),
    ({"type": "object", "minProperties": 2}, "minProperties", "more than 1"),
    ({"type": "object", "properties": {"a": False}}, "properties.a", "`false`"),
]


@pytest.mark.parametrize(("schema", "path", "reason"), FAULTS, ids=lambda value: json.dumps(value)[:50])
def test_what_would_be_ignored_is_refused_by_name(schema: object, path: str, reason: str) -> None:
    with pytest.raises(SchemaError) as raised:
        grammar_of(schema)
    (fault,) = raised.value.faults
    assert ".".join(fault.path) == path
    assert reason in fault.message


def test_schemas_that_only_our_narrowing_keeps_apart_may_overlap() -> None:
    for schemas in (
        [{"type": "string"}, {"minimum": 0}],
        [{"type": "object", "properties": {"a": {}}, "required": ["a"]}, {"type": "object", "properties": {"é": {}}}],
    ):
        for strict in (False, True):
            with pytest.raises(SchemaError, match="overlap"):
                grammar_of({"oneOf": schemas}, strict)


def test_names_by_pattern_where_no_others_are_allowed() -> None:
    schema = {"type": "object", "propertyNames": {"pattern": "^x+$"}}
    assert accepts(schema, '{"xx": 1}', strict=True)
    assert accepts({"type": "object", "propertyNames": True}, '{"y": 1}', strict=True)
    assert accepts({**schema, "additionalProperties": False}, "{}")
    assert not accepts({**schema, "additionalProperties": False}, '{"xx": 1}')


def test_every_fault_is_named_at_once() -> None:
    schema = {"properties": {"a": {"type": "x"}, "b": {"multipleOf": 2}}, "not": {}}
    with pytest.raises(SchemaError) as raised:
        grammar_of(schema)
    assert {fault.path[-1] for fault in raised.value.faults} == {"type", "multipleOf", "not"}


def nested(levels: int) -> object:
    return {"type": "array", "items": nested(levels - 1)} if levels else {"type": "null"}


COUNTED = {
    "type": "object",
    "properties": {f"p{i}": {} for i in range(60)},
    "additionalProperties": False,
    "minProperties": 30,
}
LARGE = {"type": "array", "prefixItems": [COUNTED] * 12}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (nested(33), "32 levels"),
        ({"type": "object", "properties": {f"p{i}": {} for i in range(1001)}}, "1000 schemas"),
        ({"description": "x" * 2**17}, "131072"),
        ({"type": "object", "properties": {f"p{i}": {} for i in range(66)}, "maxProperties": 3}, "64 optional"),
        (LARGE, "too large"),
        (
            {"prefixItems": [{"type": "string", "pattern": f"^.{{0,390}}{i}$"} for i in range(4)]},
            "the patterns together",
        ),
    ],
    ids=["depth", "number", "size", "counted", "grammar", "patterns"],
)
def test_what_would_take_long_is_refused(schema: object, reason: str) -> None:
    with pytest.raises(SchemaError) as raised:
        grammar_of(schema)
    (fault,) = raised.value.faults
    assert reason in fault.message


def test_a_long_chain_of_references_is_followed() -> None:
    links = {f"d{i}": {"type": "array", "items": {"$ref": f"#/$defs/d{i + 1}"}} for i in range(400)}
    assert accepts({"$ref": "#/$defs/d0", "$defs": {**links, "d400": {"type": "null"}}}, "[[[]]]")


def test_depth_that_passes() -> None:
    assert accepts(nested(32), "[[[[]]]]")


NUMBERS = ({}, {"type": "number"}, {"type": "integer"}, {"type": "number", "minimum": 0}, {"exclusiveMaximum": 7})


@pytest.mark.parametrize("schema", NUMBERS, ids=str)
def test_no_number_is_too_large_to_be_read(schema: dict) -> None:
    for text in ("1" * 15, "-" + "9" * 15, "0", "-4", "5"):
        assert accepts(schema, text) == jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))
    for text in ("1" * 400, "-" + "1" * 400, "1e999", "-4E92443200546282553355774777968291322622", "1." + "1" * 400):
        assert not accepts(schema, text)
