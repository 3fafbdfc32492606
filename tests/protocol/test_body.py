"""From bytes to an object."""

import orjson
import pytest

from server.errors import InvalidRequest
from server.protocol import Limits, parse_chat
from server.protocol.body import deeper_than, read_object
from server.protocol.limits import MAX_VALUES

LIMITS = Limits(models=("electron",), vocab_size=1000)
HEAD = b'{"model": "electron", "messages": [{"role": "user", "content": "Hello"}], '


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"{",
        b"hello",
        b"NaN",
        b'{"temperature": NaN}',
        b'{"temperature": Infinity}',
        b'{"temperature": -Infinity}',
        b'{"temperature": 1e400}',
        b'{"user": "\xff"}',
        b'{"user": "\\ud800"}',
        b'{"user": "\\udc00\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"user": "line\nbreak"}',
        b'{"user": 1,}',
        b"{'user': 1}",
        '{"user": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"user": 1}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b'{"a": ' * 100_000,
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_one_fault_of_the_whole_body(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body, LIMITS)
    (detail,) = caught.value.details
    assert (detail.code, detail.path) == ("custom", ())
    assert len(detail.message) < 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[]", "array"), (b'"x"', "string"), (b"null", "null"), (b"true", "boolean"), (b"7", "7")],
)
def test_what_is_no_object_is_named(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_object(body)
    (detail,) = caught.value.details
    assert (detail.code, detail.path) == ("invalid_type", ())
    assert detail.message == f"Expected object, received {kind}"


def test_of_equal_members_the_last_counts() -> None:
    assert parse_chat(HEAD + b'"temperature": 9, "temperature": 0.5}', LIMITS).temperature == 0.5


def test_escaped_control_characters_and_pairs_of_surrogates_are_text() -> None:
    request = parse_chat(HEAD + b'"user": "\\u0000\\u0007\\ud83d\\ude00"}', LIMITS)
    assert request.user == "\0\a\U0001f600"


def test_numbers_beyond_64_bits_are_refused_where_they_count_and_ignored_elsewhere() -> None:
    assert parse_chat(HEAD + b'"x": 123456789012345678901234567890}', LIMITS)
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(HEAD + b'"seed": -9223372036854775809, "max_tokens": 123456789012345678901234567890}', LIMITS)
    assert {(d.code, d.path) for d in caught.value.details} == {("too_small", ("seed",)), ("too_big", ("max_tokens",))}


MANY = {
    "arrays": b"[],",
    "objects": b"{},",
    "numbers": b"1,",
    "members": b'{"a": 1},',
    "text": b'"' + b"," * 99 + b'",',
}


@pytest.mark.parametrize("value", MANY.values(), ids=MANY)
def test_what_has_too_many_values_is_not_decoded(value: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    body = HEAD + b'"x": [' + value * MAX_VALUES + b"1]}"
    monkeypatch.setattr(orjson, "loads", None)
    with pytest.raises(InvalidRequest) as caught:
        read_object(body)
    (detail,) = caught.value.details
    assert (detail.code, detail.path) == ("too_big", ())


def test_nor_is_what_hides_them_in_the_text_of_arguments() -> None:
    arguments = b"\\u007b\\u0022a\\u0022:\\u005b0" + b"\\u002c0" * MAX_VALUES + b"\\u005d\\u007d"
    call = b'{"id": "c", "function": {"name": "f", "arguments": "' + arguments + b'"}}'
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(b'{"model": "electron", "messages": [{"role": "assistant", "tool_calls": [' + call + b"]}]}", LIMITS)
    (detail,) = caught.value.details
    assert (detail.code, detail.path[-1]) == ("invalid_string", "arguments")


def test_as_many_values_as_a_vocabulary_has_are_taken() -> None:
    bias = b",".join(b'"%d": 1' % number for number in range(200_000))
    limits = Limits(models=("electron",), vocab_size=200_000)
    assert len(parse_chat(HEAD + b'"logit_bias": {' + bias + b"}}", limits).logit_bias) == 200_000


def nested(levels: int) -> object:
    value: object = 0
    for i in range(levels):
        value = [0, value] if i % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [0, 1, 2, 63, 64])
def test_depth_is_counted_in_arrays_and_objects(levels: int) -> None:
    assert not deeper_than(nested(levels), levels)
    assert levels == 0 or deeper_than(nested(levels), levels - 1)


@pytest.mark.parametrize("name", ["messages", "tools", "logit_bias", "unknown"])
def test_a_member_that_is_too_deep_is_a_fault_and_hides_no_other(name, faults) -> None:
    found = faults(**{name: nested(65)}, temperature=3)
    assert ("too_big", (name,)) in found
    assert ("too_big", ("temperature",)) in found


def test_a_schema_may_be_deep_but_not_without_end(chat, faults) -> None:
    def tool(levels: int) -> dict[str, object]:
        return {"type": "function", "function": {"name": "f", "parameters": {"x": nested(levels)}}}

    assert chat(tools=[tool(60)]).tools[0].parameters == {"x": nested(60)}
    assert faults(tools=[tool(61)]) == [("too_big", ("tools",))]
