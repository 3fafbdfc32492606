import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.parsing.whole import WholeText, as_object
from server.records import Text
from tests.parsing.case_files import feed_all, merged, split

CALL = re.compile(r"<call>(\S*) (.*?)(?:</call>|$)", re.DOTALL)


def extract(text: str) -> tuple[str, list[tuple[str, str]]] | None:
    """A parser in the manner of others: content without its calls, and the calls; it gives up at a tag of its own."""
    if "<boom>" in text:
        return None
    return CALL.sub("", text).strip(), CALL.findall(text)


def parse(pieces: list[str]) -> tuple[object, ...]:
    numbers = iter(range(100))
    parser = WholeText(extract, lambda: f"call_{next(numbers)}")
    return merged(feed_all(parser, pieces)), parser.failures, parser.cut


@pytest.mark.parametrize(
    ("text", "events", "failures", "cut"),
    [
        ("Hello.\n", ("Hello.\n",), 0, False),
        ("Sure.\n<call>f {}</call>", ("Sure.", ("f", "{}")), 0, False),
        ('<call>f {"a": 1}</call><call>g {}</call>', (("f", '{"a": 1}'), ("g", "{}")), 0, False),
        ("<call>f {}</call> Then I wait.", ("Then I wait.", ("f", "{}")), 0, False),
        ("One < two is true.", ("One < two is true.",), 0, False),
        ('<call>f "{\\"a\\": 1}"</call>', (("f", '{"a": 1}'),), 0, False),
        ("<call>f </call>", (("f", "{}"),), 0, False),
        ("<call>f [1]</call>", (), 1, False),
        ("Hm. <call>f {x}</call><call>g {}</call>", ("Hm.", ("g", "{}")), 1, False),
        ("Hm. <call>a,b {}</call>", ("Hm.",), 1, False),
        ("Hm. <tool>f {}</tool> so", ("Hm.",), 1, False),
        ("Hm. <boom> so", ("Hm.",), 1, False),
        ('Hm. <call>f {"a": "b', ("Hm.",), 0, True),
        ("Hm. <call>f {}</call><call>g {}</ca", ("Hm.", ("f", "{}")), 0, True),
        ("Hm, func", ("Hm, func",), 0, False),
        ("A function", ("A function",), 0, False),
    ],
)
def test_text_in_events_out(text: str, events: tuple[object, ...], failures: int, cut: bool) -> None:
    assert parse([text]) == (events, failures, cut)
    assert parse(list(text)) == (events, failures, cut)


@pytest.mark.parametrize("text", ["Hm. <", "One < two. <", "<call>f {}</call> So. <"])
def test_cut_off_a_less_than_sign_at_the_end_begins_a_call(text: str) -> None:
    for pieces in ([text], list(text)):
        events = merged(feed_all(WholeText(extract, lambda: "call_0"), pieces, cut_off=True))
        assert events == merged(feed_all(WholeText(extract, lambda: "call_0"), [text[:-1].rstrip()]))


def test_speech_flows_before_a_call_may_begin() -> None:
    parser = WholeText(extract)
    assert parser.feed("One moment. ") == [Text("One moment.")]
    assert parser.feed("<call>f ") == []


@given(
    text=st.lists(
        st.sampled_from(["<call>", "f ", "{}", "</call>", "Hi.", " ", "\n", "<", "func", "tools", "[", "<boom>"])
    ),
    at=st.lists(st.integers(min_value=0, max_value=100)),
)
def test_any_split_equals_the_whole(text: list[str], at: list[int]) -> None:
    whole = "".join(text)
    assert parse(split(whole, at)) == parse([whole])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", "{}"),
        ("null", "{}"),
        ('""', "{}"),
        ('{"a":1}', '{"a":1}'),
        (json.dumps('{"a":1}'), '{"a":1}'),
        ("7", None),
        ("{", None),
    ],
)
def test_as_object(given: str, text: str | None) -> None:
    assert as_object(given) == text
