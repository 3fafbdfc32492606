import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.parsing.json_scan import JsonScanner

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
nearly_json = st.text(alphabet="{}[]\",:\\ \n\t'0129-+.eEtrufalsn\x00é", max_size=40)


def scan(text: str) -> tuple[JsonScanner, str, int]:
    scanner = JsonScanner()
    end = scanner.feed(text)
    return scanner, scanner.take(), end


@given(value=values, ascii_only=st.booleans(), indent=st.none() | st.just(1))
def test_valid_json_comes_through_unchanged(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    scanner, out, end = scan(text + ",")
    assert (out, end) == (text, len(text))
    assert scanner.done and not scanner.broken


runs = st.lists(st.sampled_from([json.dumps(v) for v in ({"a": [1, "b"]}, [], {}, -1.5, None, "\n")]), min_size=4).map(
    lambda parts: f'{{"k": [{", ".join(parts)}], "l": {parts[0]}}}'
)
faults = st.sampled_from(["", "'", '"', "[", "}", "\\", "True", ",", "1", "\x00", "{'a': None}", "[[[1]]]", "9" * 130])


def scan_in_pieces(text: str, size: int) -> tuple[bool, bool, str]:
    """As far as the value goes."""
    scanner = JsonScanner()
    for start in range(0, len(text), size):
        if not (scanner.done or scanner.broken):
            scanner.feed(text[start : start + size])
    return scanner.done, scanner.broken, scanner.take()


@given(text=runs, fault=faults, at=st.integers(0, 400), size=st.integers(1, 60))
def test_long_stretches_are_read_as_single_characters_are(text: str, fault: str, at: int, size: int) -> None:
    at %= len(text)
    text = text[:at] + fault + text[at:] + " "
    assert scan_in_pieces(text, len(text)) == scan_in_pieces(text, size) == scan_in_pieces(text, 1)


@given(text=nearly_json | values.map(json.dumps))
def test_what_came_out_can_be_closed_at_any_moment(text: str) -> None:
    scanner = JsonScanner()
    out = ""
    for character in text:
        scanner.feed(character)
        out += scanner.take()
        if out:
            json.loads(out + scanner.closing())


@given(text=nearly_json, at=st.integers(min_value=0, max_value=40))
def test_any_split_gives_the_same(text: str, at: int) -> None:
    whole, out, end = scan(text)
    scanner = JsonScanner()
    first = scanner.feed(text[:at])
    stop = scanner.feed(text, first)
    assert (scanner.take(), stop, scanner.done, scanner.broken) == (out, end, whole.done, whole.broken)


@pytest.mark.parametrize(
    ("text", "out", "end"),
    [
        ('{"a": 1}}', '{"a": 1}', 8),
        ("12,", "12", 2),
        ("[1 2]", "[1", 3),
        ('{"a" 1}', "{", 5),
        ("[}", "[", 1),
        ("[,1]", "[", 1),
        ("x}", "", 1),
        ("<", "", 0),
    ],
)
def test_it_stops_behind_the_value_or_at_what_cannot_belong_to_it(text: str, out: str, end: int) -> None:
    scanner, came_out, stop = scan(text)
    assert (came_out, stop) == (out, end)
    assert scanner.done != scanner.broken


@pytest.mark.parametrize("text", ["[" * 129, '{"a":' * 129, "1" * 129])
def test_what_json_parsers_refuse_is_refused(text: str) -> None:
    assert scan(text)[0].broken


@pytest.mark.parametrize(
    ("text", "complete"),
    [('{"a": 1 ', True), ('{"a": "b"', True), ('{"a": 1', False), ('{"a": "b', False), ('{"a"', False), ("[1,", False)],
)
def test_complete_but_for_brackets(text: str, complete: bool) -> None:
    assert scan(text)[0].complete_but_for_brackets == complete
