"""JSON mode: guided, compact, always ends."""

import json
import re

import httpx
import openai
import pytest

MESSAGES = [{"role": "user", "content": "A caller named Ada, 36, from Pune."}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mood": {"enum": ["calm", "angry"]},
        "orders": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 3},
    },
    "required": ["name", "age", "mood", "orders"],
    "additionalProperties": False,
}


def ask(client: openai.OpenAI, response_format: dict, **options) -> openai.types.chat.chat_completion.Choice:
    answer = client.chat.completions.create(
        model="electron", messages=MESSAGES, response_format=response_format, **{"max_tokens": 256} | options
    )
    return answer.choices[0]


@pytest.mark.parametrize("seed", range(6))
def test_json_object_ends_and_parses(client: openai.OpenAI, seed: int) -> None:
    """The prompt does not mention JSON, the temperature is high: only the grammar holds the model."""
    choice = ask(client, {"type": "json_object"}, seed=seed, temperature=1.5, max_tokens=512)
    assert not re.search(r"\n|\t", choice.message.content)
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)
    else:
        assert choice.finish_reason == "length"


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_json_schema_is_kept(client: openai.OpenAI, seed: int, strict: bool) -> None:
    schema = {"name": "person", "schema": PERSON, "strict": strict}
    choice = ask(client, {"type": "json_schema", "json_schema": schema}, seed=seed, temperature=1.5)
    assert choice.finish_reason == "stop"
    person = json.loads(choice.message.content)
    assert person.keys() == PERSON["properties"].keys()
    assert 0 <= person["age"] <= 150 and person["mood"] in ("calm", "angry") and len(person["orders"]) <= 3


def test_a_schema_that_cannot_be_kept_is_refused_by_keyword(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "x"}}}}
    body = {"model": "electron", "messages": MESSAGES}
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    (detail,) = response.json()["error"]["details"]
    assert detail["path"][:3] == ["response_format", "json_schema", "schema"]
    assert "not" in detail["message"] or "not" in detail["path"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-such-type"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"type": "string", "pattern": "("},
    ],
    ids=str,
)
def test_schemas_that_do_not_compile_are_refused_before_the_engine_sees_them(http: httpx.Client, schema: dict) -> None:
    body = {"model": "electron", "messages": MESSAGES}
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert http.get("/readyz").status_code == 200
