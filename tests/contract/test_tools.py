"""Tools against the real engine: whoever is made to call calls, with arguments that match."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import httpx
import jsonschema
import openai
import pytest

from benchmarks.random_schemas import arguments

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "What is the weather in Pune?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
TURNS = 40


def tool(name: str, parameters: object = CITY, **members: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **members}}


def asking(*tools: object, **fields: object) -> dict[str, object]:
    return {"model": "electron", "messages": USER, "tools": list(tools), "max_tokens": 2000, "filler": "off", **fields}


def turn(client: openai.OpenAI, seed: int) -> None:
    chance = random.Random(seed)
    tools = [tool(f"tool_{index}", arguments(chance)) for index in range(chance.randint(1, 3))]
    named = {"type": "function", "function": {"name": "tool_0"}}
    choice = named if seed % 2 else "required"
    answer = client.chat.completions.create(
        model="electron", messages=USER, tools=tools, tool_choice=choice, seed=seed, max_tokens=4000
    ).choices[0]
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.message.tool_calls
    schemas = {made["function"]["name"]: made["function"]["parameters"] for made in tools}
    assert call.function.name == "tool_0" or seed % 2 == 0
    jsonschema.validate(json.loads(call.function.arguments), schemas[call.function.name])


def test_forced_calls_match_their_schemas(client: openai.OpenAI) -> None:
    """Random schemas, a model at temperature 1 that was never trained on them. The full thousand: `benchmarks`."""
    with ThreadPoolExecutor(16) as callers:
        list(callers.map(lambda seed: turn(client, seed), range(TURNS)))


@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_call_is_the_same_streamed_and_whole(client: openai.OpenAI, stream: bool) -> None:
    options = {"model": "electron", "messages": USER, "tools": [tool("look")], "tool_choice": "required", "seed": 3}
    if not stream:
        (call,) = client.chat.completions.create(**options).choices[0].message.tool_calls
        name, written = call.function.name, call.function.arguments
    else:
        calls = [
            call
            for chunk in client.chat.completions.create(**options, stream=True)
            for call in (chunk.choices[0].delta.tool_calls or [] if chunk.choices else [])
        ]
        name, written = calls[0].function.name, "".join(call.function.arguments or "" for call in calls)
    assert name == "look"
    assert len(json.loads(written)["city"]) <= 12


def test_none_does_not_call(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="electron", messages=USER, tools=[tool("look")], tool_choice="none", max_tokens=64, seed=1
    ).choices[0]
    assert answer.message.tool_calls is None


@pytest.mark.parametrize("seed", range(4))
def test_json_or_a_call(client: openai.OpenAI, seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": CITY, "strict": True}}
    answer = client.chat.completions.create(
        model="electron", messages=USER, tools=[tool("look")], response_format=form, max_tokens=400, seed=seed
    ).choices[0]
    called = [call.function.arguments for call in answer.message.tool_calls or []]
    assert bool(called) != bool(answer.message.content)
    if answer.finish_reason != "length":  # nothing bounds the number of calls
        for text in called or [answer.message.content]:
            jsonschema.validate(json.loads(text), CITY)


@pytest.mark.parametrize(("choice", "strict"), [("required", False), ("auto", True)])
def test_a_schema_that_cannot_be_kept_is_refused_where_it_was_promised(
    http: httpx.Client, choice: str, strict: bool
) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 5}}}
    tools = (tool("look"), tool("count", parameters, strict=strict))
    response = http.post(CHAT, json=asking(*tools, tool_choice=choice))
    assert response.status_code == 400
    (detail,) = response.json()["error"]["details"]
    assert detail["path"] == ["tools", "1", "function", "parameters", "properties", "n", "multipleOf"]
    assert http.post(CHAT, json=asking(tool("look"), tool("count", parameters), max_tokens=4)).status_code == 200


CLASHES = [
    {"min_tokens": 1000, "max_tokens": 1001},
    {"allowed_token_ids": [5]},
    {"logit_bias": {str(token): -100 for token in range(256)}},
    {"bad_words": ["{", "<"]},
    {"ignore_eos": True, "max_tokens": 300},
    {"stop": ["{"]},
    {"stop_token_ids": [4090]},
    {"logprobs": True, "top_logprobs": 5},
    {"max_tokens": 1},
    {"repetition_penalty": 2.0, "presence_penalty": 2.0},
]


@pytest.mark.parametrize("fields", CLASHES, ids=lambda fields: next(iter(fields)))
def test_what_else_a_request_wants_does_not_hurt_the_engine(http: httpx.Client, fields: dict[str, object]) -> None:
    """A sampling that the grammar leaves nothing of costs this request, and no other one."""
    response = http.post(CHAT, json=asking(tool("look"), **{"tool_choice": "required", "seed": 2, **fields}))
    if response.status_code != 200:
        assert response.json()["error"]["type"] in ("invalid_request_error", "upstream_error")
    after = http.post(CHAT, json=asking(tool("look"), tool_choice="required", seed=2))
    assert after.json()["choices"][0]["finish_reason"] == "tool_calls"


PIECES = (
    *({"type": "object"}, {"type": "objekt"}, {"$ref": "#"}, {"enum": []}, {"not": {}}, False, 7),
    *({"pattern": "(a*)*b{1,300}"}, {"pattern": "\\"}, {"minLength": 5000}, {"maxItems": 10**9}),
    *({"const": "\x00\ud7ff\uffff"}, {"minimum": 1e300}),
)


def test_no_schema_kills_the_engine(http: httpx.Client) -> None:
    def random_parameters(chance: random.Random, depth: int = 3) -> object:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(PIECES)
        inner = {name: random_parameters(chance, depth - 1) for name in ("", "a", 'q"\\', "::=", "root")}
        return chance.choice(
            [
                {"type": "object", "properties": inner, "required": ["a"]},
                {"properties": {"x": {"type": "array", "items": inner["a"], "minItems": 2}}},
                {"anyOf": [inner["a"], inner["root"]]},
                {"patternProperties": {"^x": inner["a"]}},
                {"additionalProperties": inner["a"], "minProperties": 1},
            ]
        )

    def ask(seed: int) -> int:
        chance = random.Random(seed)
        parameters = [random_parameters(chance) for _ in range(3)]
        tools = [tool(f"t{i}", schema, strict=chance.random() < 0.3) for i, schema in enumerate(parameters)]
        response = http.post(CHAT, json=asking(*tools, tool_choice=chance.choice(["auto", "required"]), max_tokens=8))
        assert response.status_code == 200 or response.json()["error"]["type"] == "invalid_request_error", response.text
        return response.status_code

    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(ask, range(120)))
    assert set(statuses) == {200, 400}
    assert http.get("/readyz").status_code == 200
