"""Forced calls against random schemas, without an engine: whatever the grammar lets through is valid."""

import json
import random

import jsonschema
import pytest

from benchmarks.random_schemas import arguments
from server.prompt.schema_grammar import arguments_grammar, json_grammar
from tests.prompt.walk import walk

SCHEMAS = 500


@pytest.mark.parametrize("first", range(0, SCHEMAS, 50))
def test_arguments_match_their_schema(first: int) -> None:
    for seed in range(first, first + 50):
        chance = random.Random(seed)
        schema = arguments(chance)
        grammar = arguments_grammar(json.dumps(schema).encode(), strict=bool(seed % 2))
        for _ in range(4):
            jsonschema.validate(json.loads(walk(grammar, chance)), schema, jsonschema.Draft202012Validator)


def test_strings_of_any_length_hold_nothing_but_text() -> None:
    grammar = json_grammar(b'{"type": "string"}', strict=False)
    for seed in range(200):
        text = json.loads(walk(grammar, random.Random(seed)))
        assert text.encode().decode() == text
