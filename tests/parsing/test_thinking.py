import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.parsing.plain import Verbatim
from server.parsing.thinking import Thinking
from tests.parsing.case_files import feed_all, merged, split


def rest(pieces: list[str]) -> str:
    return "".join(map(str, merged(feed_all(Thinking(Verbatim()), pieces))))


@pytest.mark.parametrize(
    ("text", "passed_on"),
    [
        ("<think>a</think>\n\nb", "b"),
        (" \n<think></think>b \n", "b \n"),
        ("a <think>b</think>", "a <think>b</think>"),
        ("<think>a</think>b<think>c</think>", "b<think>c</think>"),
        ("<think>a", ""),
        ("<think>a</thin", ""),
        (" <thin", " <thin"),
        (" <thing>", " <thing>"),
        ("\n\n", "\n\n"),
        ("", ""),
    ],
)
def test_a_thought_at_the_head_is_kept_from_the_rest(text: str, passed_on: str) -> None:
    assert rest([text]) == passed_on
    assert rest(list(text)) == passed_on


@given(
    text=st.lists(st.sampled_from(["<think>", "</think>", "<", "thi", " ", "\n", "a", "</"])).map("".join),
    at=st.lists(st.integers(min_value=0, max_value=100)),
)
def test_any_split_equals_the_whole(text: str, at: list[int]) -> None:
    assert rest(split(text, at)) == rest([text])
