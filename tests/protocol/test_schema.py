"""The schemas of the OpenAPI document say what the parser does."""

import json

import pytest
from jsonschema import Draft202012Validator

from server.protocol import CHAT_FIELDS, COMPLETION_FIELDS, Field, chat_schema, completion_schema

TABLES = {"chat": CHAT_FIELDS, "completion": COMPLETION_FIELDS}
SCHEMAS = {"chat": chat_schema(("electron",)), "completion": completion_schema(("electron",))}
BASES = {"chat": {"model": "electron", "messages": [{"role": "user", "content": "Hello"}]}}
BASES["completion"] = {"model": "electron", "prompt": "Hello"}
ROWS = [pytest.param(route, row, id=f"{route}-{row.name}") for route, rows in TABLES.items() for row in rows]

# What JSON schema cannot say: agreement with other members and with the vocabulary of the model.
UNSAID = {
    "messages": 1,  # the result of no call
    "tools": 1,  # one name twice
    "tool_choice": 1,  # a tool that is not there
    "stop_token_ids": 1,
    "logit_bias": 1,
    "allowed_token_ids": 1,
}


def valid(route: str, name: str, value: object) -> bool:
    return Draft202012Validator(SCHEMAS[route]).is_valid({**BASES[route], name: value})


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_what_is_accepted_is_valid(route: str, row: Field) -> None:
    assert [value for value in row.good if not valid(route, row.name, value)] == []


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_what_is_refused_is_invalid(route: str, row: Field) -> None:
    assert len([value for value in row.bad if valid(route, row.name, value)]) == UNSAID.get(row.name, 0)


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_null_is_valid_where_there_is_a_default(route: str, row: Field) -> None:
    assert valid(route, row.name, None) is not row.required


@pytest.mark.parametrize("route", list(SCHEMAS))
def test_schemas_stand_alone(route: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[route])
    assert "$ref" not in json.dumps(SCHEMAS[route])
    assert list(SCHEMAS[route]["properties"]) == [row.name for row in TABLES[route]]


def test_the_served_models_are_named_where_they_are_known() -> None:
    assert SCHEMAS["chat"]["properties"]["model"]["enum"] == ["electron"]
    assert "enum" not in chat_schema()["properties"]["model"]
