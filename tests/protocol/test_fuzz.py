"""Whatever comes is a request, or refused with faults that can be found in the body."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import InvalidRequest
from server.protocol import (
    CHAT_FIELDS,
    COMPLETION_FIELDS,
    ChatRequest,
    CompletionRequest,
    Limits,
    parse_chat,
    parse_completion,
)
from server.protocol.faults import CODES

LIMITS = Limits(models=("electron",), vocab_size=1000)
PARSERS = {"chat": parse_chat, "completion": parse_completion}
INNER = ("role", "content", "tool_calls", "tool_call_id", "id", "type", "function", "name", "arguments", "text")
INNER += ("json_schema", "schema", "strict", "include_usage", "parameters", "0", "999", "1000", "[key]", "\0array")
WORDS = ("electron", "user", "assistant", "tool", "system", "text", "function", "auto", "required", "json_schema", "{}")

text = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(-(10**20), 10**20) | st.integers(-3, 22) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text | st.sampled_from(WORDS)


def containers(children: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(children, max_size=4) | st.dictionaries(st.sampled_from(INNER) | text, children, max_size=5)


values = st.recursive(scalars, containers, max_leaves=12)


def bodies(route: str) -> st.SearchStrategy[dict[str, object]]:
    rows = CHAT_FIELDS if route == "chat" else COMPLETION_FIELDS
    known = {
        row.name: st.sampled_from([*row.good, *row.bad]) | values if row.good or row.bad else values
        for row in rows
        if row.status != "ignored"
    }
    return st.fixed_dictionaries({}, optional={**known, "x_unknown": values})


def leads_into(body: object, path: Sequence[str]) -> bool:
    """Whether a path ends at a value, or at a member that an object lacks."""
    for i, step in enumerate(path):
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdecimal() and int(step) < len(body):
            body = body[int(step)]
        else:
            return isinstance(body, dict) and i == len(path) - 1
    return True


def check(route: str, body: object) -> None:
    try:
        request = PARSERS[route](json.dumps(body).encode(), LIMITS)
    except InvalidRequest as refusal:
        assert refusal.details
        seen = [(detail.code, detail.message, detail.path) for detail in refusal.details]
        assert len(set(seen)) == len(seen)
        for detail in refusal.details:
            assert detail.code in CODES
            assert detail.message
            assert len(detail.message) < 300
            assert leads_into(body, detail.path), detail
        json.dumps(refusal.envelope("id")).encode()
    else:
        assert isinstance(request, ChatRequest | CompletionRequest)


@pytest.mark.parametrize("route", list(PARSERS))
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(route: str, body: bytes) -> None:
    try:
        PARSERS[route](body, LIMITS)
    except InvalidRequest as refusal:
        assert refusal.details


@pytest.mark.parametrize("route", list(PARSERS))
@settings(deadline=None)
@given(values)
def test_any_json(route: str, body: object) -> None:
    check(route, body)


@pytest.mark.parametrize("route", list(PARSERS))
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_values_of_the_known_members(route: str, data: st.DataObject) -> None:
    check(route, data.draw(bodies(route)))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(INNER), values, max_size=6), max_size=5))
def test_any_messages(messages: list[dict[str, object]]) -> None:
    check("chat", {"model": "electron", "messages": messages})
