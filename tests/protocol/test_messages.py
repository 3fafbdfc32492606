"""Messages: what is accepted, what it becomes, what is refused where."""

import pytest

from server.protocol import Message, ToolCallIn

USER = {"role": "user", "content": "Hello"}


def call(**members: object) -> dict[str, object]:
    return {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}, **members}


def function(arguments: object) -> dict[str, object]:
    return {"name": "look", "arguments": arguments}


def test_each_role_is_normalised(chat) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello", "name": "ada"},
        {"role": "assistant", "content": "One moment.", "tool_calls": [call()]},
        {"role": "tool", "content": "done", "tool_call_id": "call_1"},
    ]
    assert chat(messages=messages).messages == (
        Message("system", "Be brief."),
        Message("user", "Hello", name="ada"),
        Message("assistant", "One moment.", (ToolCallIn("call_1", "look", {"a": 1}),)),
        Message("tool", "done", tool_call_id="call_1"),
    )


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ""),
        ([], ""),
        ([{"type": "text", "text": "<|im_"}, {"type": "text", "text": "start|>"}], "<|im_start|>"),
        ([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}], "x"),
        ("\0\a\u202e", "\0\a\u202e"),
    ],
)
def test_text_parts_are_joined_as_they_stand(role, content, text, chat) -> None:
    assert chat(messages=[{"role": role, "content": content}]).messages[0].content == text


@pytest.mark.parametrize("content", [{"content": None}, {}])
@pytest.mark.parametrize("calls", [{"tool_calls": [call()]}, {"tool_calls": None}, {"tool_calls": []}, {}])
def test_the_assistant_may_have_said_nothing(content, calls, chat) -> None:
    message = chat(messages=[USER, {"role": "assistant", **content, **calls}]).messages[1]
    assert message.content is None
    assert len(message.tool_calls) == len(calls.get("tool_calls") or [])


@pytest.mark.parametrize("role", ["system", "user", "tool"])
@pytest.mark.parametrize("content", [{"content": None}, {}])
def test_nobody_else_may(role, content, faults) -> None:
    messages = [{"role": "assistant", "tool_calls": [call()]}, {"role": role, "tool_call_id": "call_1", **content}]
    assert faults(messages=messages) == [("invalid_type", ("messages", "1", "content"))]


def test_what_this_server_sent_may_come_back(chat) -> None:
    echoed = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "audio": None,
        "annotations": [],
        "function_call": None,
        "reasoning_content": "Hmm.",
        "x_filler": "model",
        "name": None,
        "tool_calls": [{**call(), "index": 0, "parsed": None}],
    }
    assert chat(messages=[USER, echoed]).messages[1] == Message(
        "assistant", None, (ToolCallIn("call_1", "look", {"a": 1}),), reasoning="Hmm."
    )


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ("", {}),
        (" ", {}),
        (None, {}),
        ("{}", {}),
        ({}, {}),
        ({"a": [1]}, {"a": [1]}),
        ('{"a": "é\\u0000", "b": 1.5, "a": null}', {"a": None, "b": 1.5}),
    ],
)
def test_arguments_are_parsed(arguments, parsed, chat) -> None:
    request = chat(messages=[{"role": "assistant", "tool_calls": [call(function=function(arguments))]}])
    assert request.messages[0].tool_calls[0].arguments == parsed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("[1]", "invalid_string"),
        ("1", "invalid_string"),
        ('"{}"', "invalid_string"),
        ("{", "invalid_string"),
        ("{'a': 1}", "invalid_string"),
        ('{"a": NaN}', "invalid_string"),
        ('{"a": "\\ud800"}', "invalid_string"),
        ('{"a":' * 65 + "1" + "}" * 65, "invalid_string"),
        ('{"a":' * 100_000, "invalid_string"),
        ([1], "invalid_type"),
        (True, "invalid_type"),
    ],
)
def test_arguments_that_are_no_object_are_refused(arguments, code, faults) -> None:
    found = faults(messages=[{"role": "assistant", "tool_calls": [call(function=function(arguments))]}])
    assert found == [(code, ("messages", "0", "tool_calls", "0", "function", "arguments"))]


@pytest.mark.parametrize(
    ("part", "code", "step"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "invalid_enum_value", ("type",)),
        ({"type": "input_audio"}, "invalid_enum_value", ("type",)),
        ({"type": "refusal", "refusal": "no"}, "invalid_enum_value", ("type",)),
        ({"type": ["text"]}, "invalid_enum_value", ("type",)),
        ({"text": "x"}, "invalid_type", ("type",)),
        ({"type": "text"}, "invalid_type", ("text",)),
        ({"type": "text", "text": 5}, "invalid_type", ("text",)),
        ("x", "invalid_type", ()),
        (None, "invalid_type", ()),
    ],
)
def test_a_part_that_is_no_text_is_one_fault(part, code, step, faults) -> None:
    good = {"type": "text", "text": "x"}
    found = faults(messages=[{"role": "user", "content": [good, part, good, part]}])
    assert found == [(code, ("messages", "0", "content", i, *step)) for i in ("1", "3")]


@pytest.mark.parametrize("role", ["developer", "function", "System", "", 5, None, ["user"], {"a": 1}])
def test_other_roles_are_refused(role, faults) -> None:
    assert faults(messages=[{"role": role, "content": "x"}]) == [("invalid_enum_value", ("messages", "0", "role"))]


def test_messages_without_a_role_or_that_are_no_objects(faults) -> None:
    assert faults(messages=[{"content": "x"}, "x", None]) == [
        ("invalid_type", ("messages", "0", "role")),
        ("invalid_type", ("messages", "1")),
        ("invalid_type", ("messages", "2")),
    ]


@pytest.mark.parametrize(
    ("bad", "path", "code"),
    [
        ({"id": None}, ("id",), "invalid_type"),
        ({"id": ""}, ("id",), "too_small"),
        ({"type": "custom"}, ("type",), "invalid_enum_value"),
        ({"function": None}, ("function",), "invalid_type"),
        ({"function": {"name": "", "arguments": ""}}, ("function", "name"), "too_small"),
        ({"function": {"arguments": ""}}, ("function", "name"), "invalid_type"),
    ],
)
def test_a_malformed_call_is_refused_at_its_place(bad, path, code, faults) -> None:
    found = faults(messages=[{"role": "assistant", "tool_calls": [call(), call(**{"id": "call_2", **bad})]}])
    assert found == [(code, ("messages", "0", "tool_calls", "1", *path))]


def test_the_type_of_a_call_may_be_missing_or_null(chat) -> None:
    untyped = {key: value for key, value in call().items() if key != "type"}
    messages = [{"role": "assistant", "tool_calls": [untyped, call(id="call_2", type=None)]}]
    assert [c.id for c in chat(messages=messages).messages[0].tool_calls] == ["call_1", "call_2"]


def test_too_many_calls_are_one_fault(chat, faults) -> None:
    def turn(count: int) -> list[dict[str, object]]:
        return [{"role": "assistant", "tool_calls": [call(id=f"call_{n}") for n in range(count)]}]

    assert len(chat(messages=turn(128)).messages[0].tool_calls) == 128
    assert faults(messages=turn(129)) == [("too_big", ("messages", "0", "tool_calls"))]
