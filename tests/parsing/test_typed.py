import json

import pytest

from server.parsing.typed import TypedArguments, kinds


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"enum": ["a", "b"]}, {"string"}),
        ({"enum": ["a", 1, None]}, {"string", "integer", "null"}),
        ({"anyOf": [{"type": "string"}, {"enum": [2.5]}]}, {"string", "number"}),
        ({"oneOf": [{"type": "array"}, {"type": "object"}]}, {"array", "object"}),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/x"}]}, None),
        ({"description": "whatever"}, None),
        (True, None),
        (None, None),
    ],
)
def test_kinds(schema: object, expected: set[str] | None) -> None:
    assert kinds(schema) == expected


def write(schema: object, pieces: list[str]) -> list[str]:
    """What comes out after each step."""
    arguments = TypedArguments({"properties": {"a": schema}})
    arguments.begin("a")
    out = [arguments.take()]
    for piece in pieces:
        arguments.feed(piece)
        out.append(arguments.take())
    arguments.end()
    arguments.close()
    return [*out, arguments.take()]


def test_a_string_flows() -> None:
    assert write({"type": "string"}, ["a", '"\n']) == ['{"a": "', "a", '\\"\\n', '"}']


def test_anything_else_waits_until_it_is_whole() -> None:
    assert write({"type": "integer"}, ["1", "2"]) == ['{"a": ', "", "", "12}"]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, " 12\n", 12),
        ({"type": "integer"}, '"12"', "12"),
        ({"type": "number"}, "1.5e3", 1500.0),
        ({"type": "integer"}, "twelve", "twelve"),
        ({"type": "number"}, "Infinity", "Infinity"),
        ({"type": "boolean"}, "False", False),
        ({"type": "object"}, '{"b": [1, "}"]}', {"b": [1, "}"]}),
        ({"type": "object"}, "{'b': True,}", {"b": True}),
        ({"type": "object"}, "{1, 2}", "{1, 2}"),
        ({"type": "array"}, "[" * 100_000, "[" * 100_000),
        ({"type": "integer"}, "1" * 5_000, "1" * 5_000),
        ({"type": ["string", "null"]}, "None", None),
        ({"type": ["string", "null"]}, "nobody", "nobody"),
        ({"type": ["string", "number"]}, "5", 5),
        ({"type": ["string", "number"]}, "true", "true"),
        ({"type": ["string", "number"]}, '"5"', '"5"'),
        ({}, "true", True),
        ({}, " yes\n", "yes"),
        ({"type": "string"}, " yes\n", " yes\n"),
        ({"type": "string", "enum": ["yes", "1"]}, " yes\n", "yes"),
        ({"enum": ["yes", "1"]}, "1", "1"),
        ({"const": "1"}, "1 ", "1"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "\n\nyes", "yes"),
        ({"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, "\n a", "a"),
        ({}, "", ""),
    ],
)
def test_a_text_and_what_it_means(schema: object, text: str, value: object) -> None:
    assert json.loads("".join(write(schema, list(text)))) == {"a": value}
