"""All faults in one answer, each once, each at its place."""

import json

import pytest

from server.errors import InvalidRequest
from server.protocol import Limits, parse_chat
from server.protocol.limits import MAX_DETAILS

LIMITS = Limits(models=("electron",), vocab_size=1000)


def test_faults_of_members_and_between_members_come_together(faults) -> None:
    found = faults(
        model="gpt-4o",
        messages=[
            {"role": "developer", "content": [{"type": "input_audio", "input_audio": {}}]},
            {"role": "user", "content": 5},
            {"role": "assistant", "tool_calls": [{"id": "", "function": {"name": "f", "arguments": "[1]"}}]},
            "Hello",
            {"role": "tool", "content": "done"},
        ],
        temperature="hot",
        top_p=-1,
        stop=["", 1, "a", "b", "c"],
        n=2,
        prompt_logprobs=True,
        top_logprobs=21,
        max_tokens=4,
        min_tokens=5,
        logit_bias={"x": 500, "1000": 1},
        tools=[
            {"type": "function", "function": {"name": "a b"}},
            {"type": "function", "function": {"name": "f"}},
            {"type": "function", "function": {"name": "f", "parameters": []}},
        ],
        tool_choice={"type": "function", "function": {"name": "g"}},
        response_format={"type": "json_schema"},
        stream_options={"include_usage": "yes"},
    )
    assert sorted(found) == sorted(
        [
            ("invalid_enum_value", ("model",)),
            ("invalid_enum_value", ("messages", "0", "role")),
            ("invalid_enum_value", ("messages", "0", "content", "0", "type")),
            ("invalid_type", ("messages", "1", "content")),
            ("too_small", ("messages", "2", "tool_calls", "0", "id")),
            ("invalid_string", ("messages", "2", "tool_calls", "0", "function", "arguments")),
            ("invalid_type", ("messages", "3")),
            ("invalid_type", ("messages", "4", "tool_call_id")),
            ("invalid_type", ("temperature",)),
            ("too_small", ("top_p",)),
            ("too_big", ("stop",)),
            ("too_small", ("stop", "0")),
            ("invalid_type", ("stop", "1")),
            ("custom", ("n",)),
            ("custom", ("prompt_logprobs",)),
            ("too_big", ("top_logprobs",)),
            ("custom", ("top_logprobs",)),
            ("too_big", ("min_tokens",)),
            ("invalid_string", ("logit_bias", "x")),
            ("too_big", ("logit_bias", "x")),
            ("too_big", ("logit_bias", "1000")),
            ("invalid_string", ("tools", "0", "function", "name")),
            ("invalid_type", ("tools", "2", "function", "parameters")),
            ("custom", ("tools", "2", "function", "name")),
            ("custom", ("tool_choice", "function", "name")),
            ("invalid_type", ("response_format", "json_schema")),
            ("invalid_type", ("stream_options", "include_usage")),
        ]
    )


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"temperature": 2.5}, "Number must be less than or equal to 2, received 2.5"),
        ({"top_p": -0.5}, "Number must be greater than or equal to 0, received -0.5"),
        ({"temperature": "0.5"}, "Expected number, received string"),
        ({"max_tokens": 1.5}, "Expected integer, received 1.5"),
        ({"max_tokens": True}, "Expected integer, received boolean"),
        ({"stream": 1}, "Expected boolean, received 1"),
        ({"tools": {}}, "Expected array, received object"),
        ({"messages": []}, "Array must contain at least 1 element(s), received 0"),
        ({"stop": ["a"] * 5}, "Array must contain at most 4 element(s), received 5"),
        ({"stop": ""}, "String must contain at least 1 character(s)"),
        ({"stop": 1}, "Expected string or array of strings, received 1"),
        ({"model": "gpt-4o"}, "Expected 'electron' | 'spare', received 'gpt-4o'"),
        ({"model": None}, "Required"),
        ({"n": 2}, "n > 1 is not supported"),
        ({"prompt_logprobs": 1}, "prompt_logprobs is not supported"),
        ({"top_logprobs": 1}, "top_logprobs requires logprobs: true"),
        ({"response_format": {"type": "xml"}}, "Expected 'text', 'json_object' or 'json_schema', received 'xml'"),
    ],
)
def test_messages_say_what_was_expected_and_what_came(member, message, details) -> None:
    (detail,) = details(**member)
    assert detail.message == message
    assert detail.path[0] == next(iter(member))


def test_long_values_are_not_repeated(details) -> None:
    secret = "s3cret" * 1000
    members = {"model": secret, "temperature": secret, "user": [secret], "response_format": {"type": secret}}
    choice = {"type": "function", "function": {"name": secret}}
    found = details(**members, logit_bias={secret: 1}, tools=[choice, choice], tool_choice=choice)
    assert all(len(detail.message) < 200 for detail in found)
    assert all(len(step) <= 64 for detail in found for step in detail.path)


def body(**members: object) -> bytes:
    return json.dumps({"model": "electron", "messages": [{"role": "user", "content": "Hello"}], **members}).encode()


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": [0] * 1000}] * 200},
        {"messages": [{"role": "user", "content": "x"}] * 100 + [{"role": "user", "content": [0] * 1000}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 500 + [0] * 500}]},
        {"logit_bias": {f"x{i}": 1 for i in range(10_000)}},
        {"stop_token_ids": [1000] * 1000},
        {"tools": [{"function": {"name": "f"}}] * 64, "bad_words": [""] * 1000, "stop_token_ids": [-1] * 1000},
    ],
)
def test_a_flood_of_faults_is_answered_in_few_words(members) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body(**members), LIMITS)
    assert 1 <= len(caught.value.details) <= MAX_DETAILS
    assert any(detail.message == "Further faults are not listed" for detail in caught.value.details)


def test_a_fault_in_each_of_the_most_messages_is_listed() -> None:
    messages = [{"role": "developer", "content": "x"}] * LIMITS.messages
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body(messages=messages), LIMITS)
    assert [d.path for d in caught.value.details] == [("messages", str(i), "role") for i in range(LIMITS.messages)]


def test_the_summary_names_the_members(details) -> None:
    with pytest.raises(InvalidRequest, match="temperature") as caught:
        parse_chat(body(temperature=9, n=2), LIMITS)
    assert caught.value.message.startswith("Invalid input data")
    assert "n > 1 is not supported" in caught.value.message
