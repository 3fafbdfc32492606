"""Tool results and the calls that they answer."""

import pytest

USER = {"role": "user", "content": "Hello"}


def calls(*ids: str) -> dict[str, object]:
    made = [{"id": i, "type": "function", "function": {"name": "look", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(call_id: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call_id, "content": "done"}


@pytest.mark.parametrize(
    "messages",
    [
        [USER, calls("a"), result("a")],
        [USER, calls("a", "b"), result("b"), result("a"), USER],
        [USER, calls("a"), result("a"), calls("b"), result("b")],
        [USER, calls("a"), result("a"), USER, calls("a"), result("a")],
        [USER, calls("a"), USER],
        [USER, calls("a"), USER, result("a")],
    ],
)
def test_answered_calls(messages, chat) -> None:
    assert len(chat(messages=messages).messages) == len(messages)


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([USER, result("a")], ("messages", "1", "tool_call_id")),
        ([USER, result("a"), calls("a")], ("messages", "1", "tool_call_id")),
        ([USER, calls("a"), result("b")], ("messages", "2", "tool_call_id")),
        ([USER, calls("a"), result("a"), result("a")], ("messages", "3", "tool_call_id")),
        ([USER, calls("a", "b", "a"), result("a")], ("messages", "1", "tool_calls", "2", "id")),
    ],
)
def test_orphans_and_doubles(messages, path, faults) -> None:
    assert faults(messages=messages) == [("custom", path)]


@pytest.mark.parametrize("malformed", [{"tool_calls": "a"}, {"tool_calls": [{}]}, {"tool_calls": [{"id": 5}]}])
def test_a_malformed_call_is_not_counted_twice_as_an_orphan(malformed, faults) -> None:
    found = faults(messages=[USER, {"role": "assistant", **malformed}, result("a")])
    assert {path[:3] for _, path in found} == {("messages", "1", "tool_calls")}


def test_orphans_are_found_beside_other_faults(faults) -> None:
    found = faults(messages=[{"role": "developer", "content": "x"}, result("a")], temperature=3)
    assert ("custom", ("messages", "1", "tool_call_id")) in found
    assert len(found) == 3
