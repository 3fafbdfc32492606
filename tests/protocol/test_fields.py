"""Every row of the table, on both routes."""

import dataclasses
import json

import pytest

from server.errors import InvalidRequest
from server.protocol import (
    CHAT_FIELDS,
    COMPLETION_FIELDS,
    ChatRequest,
    CompletionRequest,
    Field,
    Limits,
    parse_chat,
    parse_completion,
)
from server.protocol.faults import CODES

LIMITS = Limits(models=("electron",), vocab_size=1000)
BASES = {"chat": {"model": "electron", "messages": [{"role": "user", "content": "Hello"}]}}
BASES["completion"] = {"model": "electron", "prompt": "Hello"}
PARSERS = {"chat": parse_chat, "completion": parse_completion}
TABLES = {"chat": CHAT_FIELDS, "completion": COMPLETION_FIELDS}
REQUESTS = {"chat": ChatRequest, "completion": CompletionRequest}

ROWS = [pytest.param(route, row, id=f"{route}-{row.name}") for route, rows in TABLES.items() for row in rows]
ROUTES = pytest.mark.parametrize("route", list(TABLES))


def parse(route: str, **members: object) -> ChatRequest | CompletionRequest:
    return PARSERS[route](json.dumps({**BASES[route], **members}).encode(), LIMITS)


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_good_values_are_accepted(route: str, row: Field) -> None:
    plain = parse(route, **row.needs)
    for value in row.good:
        request = parse(route, **row.needs, **{row.name: value})
        if row.status != "accepted":
            assert request == plain, value


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_bad_values_are_refused_at_their_member_in_the_vocabulary(route: str, row: Field) -> None:
    for value in row.bad:
        with pytest.raises(InvalidRequest) as caught:
            parse(route, **row.needs, **{row.name: value})
        assert {detail.path[0] for detail in caught.value.details} == {row.name}, value
        assert {detail.code for detail in caught.value.details} <= set(CODES), value


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_null_is_the_default(route: str, row: Field) -> None:
    if row.required:
        with pytest.raises(InvalidRequest) as caught:
            parse(route, **{row.name: None})
        assert [(d.code, d.message, d.path) for d in caught.value.details] == [
            ("invalid_type", "Required", (row.name,))
        ]
    else:
        assert parse(route, **{row.name: None}) == parse(route)


@pytest.mark.parametrize(("route", "row"), ROWS)
def test_the_request_has_the_default_of_the_table(route: str, row: Field) -> None:
    request = parse(route)
    if row.status == "accepted" and not row.required:
        assert getattr(request, row.name) == row.default
    elif row.status != "accepted":
        assert not hasattr(request, row.name)


@ROUTES
def test_the_request_has_the_members_of_the_table(route: str) -> None:
    accepted = [row.name for row in TABLES[route] if row.status == "accepted"]
    assert sorted(accepted) == sorted(field.name for field in dataclasses.fields(REQUESTS[route]))
    assert len({row.name for row in TABLES[route]}) == len(TABLES[route])


@ROUTES
def test_requests_cannot_be_changed(route: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(route).model = "other"  # type: ignore[misc]


@ROUTES
@pytest.mark.parametrize("name", ["x_unknown", "", "[key]", "\0array", "é", "x" * 10_000])
def test_unknown_members_have_no_effect(route: str, name: str) -> None:
    assert parse(route, **{name: {"any": ["thing"]}}) == parse(route)


INTEGERS = ("top_k", "min_tokens", "seed", "max_tokens", "n")


@ROUTES
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_may_be_written_as_floats(route: str, name: str) -> None:
    assert parse(route, **{name: 1.0}) == parse(route, **{name: 1})
    assert all(isinstance(getattr(parse(route, **{name: 1.0}), name, 1), int) for name in INTEGERS)


@ROUTES
def test_numbers_may_be_written_as_integers(route: str) -> None:
    request = parse(route, temperature=1, logit_bias={"7": 3})
    assert isinstance(request.temperature, float)
    assert request.logit_bias == {7: 3.0}


@ROUTES
@pytest.mark.parametrize(
    ("seed", "accepted"), [(2**63 - 1, True), (-(2**63), True), (2**63, False), (-(2**63) - 1, False)]
)
def test_seeds_are_exact_to_the_last_of_their_64_bits(route: str, seed: int, accepted: bool) -> None:
    if accepted:
        assert parse(route, seed=seed).seed == seed
        return
    with pytest.raises(InvalidRequest):
        parse(route, seed=seed)


@ROUTES
def test_token_ids_end_with_the_vocabulary(route: str) -> None:
    last, over = LIMITS.vocab_size - 1, LIMITS.vocab_size
    assert parse(route, stop_token_ids=[last], allowed_token_ids=[last], logit_bias={str(last): 1})
    with pytest.raises(InvalidRequest) as caught:
        parse(route, stop_token_ids=[0, over], allowed_token_ids=[over], logit_bias={str(over): 1, "9999999999": 1})
    assert [(d.code, d.path) for d in caught.value.details] == [
        ("too_big", ("stop_token_ids", "1")),
        ("too_big", ("allowed_token_ids", "0")),
        ("too_big", ("logit_bias", str(over))),
        ("too_big", ("logit_bias", "9999999999")),
    ]


@ROUTES
def test_one_stop_is_a_list_of_one(route: str) -> None:
    assert parse(route, stop="\n").stop == parse(route, stop=["\n"]).stop == ("\n",)


@ROUTES
def test_the_limits_are_those_given(route: str) -> None:
    few = Limits(models=("electron",), vocab_size=10, messages=1, tools=1, stops=1, top_logprobs=1)
    members = {"stop": ["a", "b"], "stop_token_ids": [0] * 11}
    if route == "chat":
        tools = [{"type": "function", "function": {"name": name}} for name in "ab"]
        messages = BASES["chat"]["messages"] * 2
        members |= {"messages": messages, "tools": tools, "logprobs": True, "top_logprobs": 2}
    with pytest.raises(InvalidRequest) as caught:
        PARSERS[route](json.dumps({**BASES[route], **members}).encode(), few)
    expected = {(name,) for name in members if name != "logprobs"}
    assert {d.path for d in caught.value.details if d.code == "too_big"} == expected
