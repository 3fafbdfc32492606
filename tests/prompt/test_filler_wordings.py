"""Wordings are found by how they begin, and no other ones than a plain search finds."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.prompt.filler import asking
from server.prompt.filler.wordings import Text, Wording

TABLE = tomllib.loads(Path(asking.__file__).with_name("asking.toml").read_text(encoding="utf-8"))
ALL = [Wording(entry) for row in TABLE.values() for entries in row.values() for entry in entries]


@given(data=st.data(), before=st.sampled_from(["", "a", " ", "a. ", "क"]), after=st.sampled_from(["", "s", " b"]))
@settings(deadline=None, max_examples=200)
def test_what_a_wording_matches_is_found(data: st.DataObject, before: str, after: str) -> None:
    wording = data.draw(st.sampled_from(ALL))
    text = before + data.draw(st.from_regex(wording.pattern, fullmatch=True)) + after
    found = {match.start() for match in re.finditer(rf"(?=({wording.compiled.pattern}))", text)}
    assert set(Text(text).starts(wording)) == found


@pytest.mark.parametrize(
    ("pattern", "beginnings"),
    [
        ("before", {"before"}),
        (r"on (?:the|a) (?:phone|call)\b", {"on the p", "on the c", "on a pho", "on a cal"}),
        (r"tools?\b", {"tool", "tools"}),
        (r"look\w* up", {"look"}),
        (r"\w+ down", {""}),
    ],
)
def test_how_a_wording_begins(pattern: str, beginnings: set[str]) -> None:
    assert Wording(pattern).beginnings == beginnings


def test_a_wording_does_not_reach_from_one_sentence_into_the_next() -> None:
    text = Text("before you act; then say so")
    assert list(text.starts(Wording(r"act\W+then"), ends=[14])) == []
    assert list(text.starts(Wording(r"act\W+then"))) == [11]
