"""Markdown as it is read aloud."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.parsing.markdown import Markdown
from tests.parsing.case_files import split

READ = {
    "**Bold**, *slanted*, ***both*** and `code`.": "Bold, slanted, both and code.",
    "__Bold__ and _slanted_, but snake_case stays.": "Bold and slanted, but snake_case stays.",
    "~~Gone~~ or about ~5.": "Gone or about ~5.",
    "2 * 3 = 6, 5*3 = 15": "2 * 3 = 6, 5*3 = 15",
    "# Opening hours\n\nNine to five.": "Opening hours\n\nNine to five.",
    "Title\n=====\nText": "Title\nText",
    "We have:\n- tea\n* milk\n  + oat milk\n1. coffee": "We have:\ntea\nmilk\noat milk\n1. coffee",
    "> He said\n> - **yes**": "He said\nyes",
    "One\n\n---\n\nTwo": "One\n\n\nTwo",
    "See [our page](https://a.example/b_(c)?d=e), [terms][1] or ![a map](m.png).": "See our page, terms or a map.",
    "Note [1] and [sic] stay.": "Note [1] and [sic] stay.",
    "[**Hours**](x)": "Hours",
    "```python\nprint(a_b * 2)\n```\nThat is it.": "print(a_b * 2)\nThat is it.",
    "~~~\n# kept\n~~~": "# kept\n",
    "| day | from |\n|:----|-----:|\n| Mon | 9 |\n| Tue | 10 |\nThat is it.": "day, from\nMon, 9\nTue, 10\nThat is it.",
    "a | b": "a | b",
    r"\*Not so\* \d": r"*Not so* \d",
    "-5 degrees, #1, and so on...": "-5 degrees, #1, and so on...",
    "**एक मिनट।** *请稍等。*": "एक मिनट। 请稍等。",
    "An open [bracket, an open *star": "An open [bracket, an open star",
    "Hello!": "Hello!",
    "": "",
}
SIGNS = ["*", "**", "_", "`", "```", "~~", "\n", "- ", "# ", "> ", "|", "---", "[a", "](u)", "](", "[", "]", "!", "\\"]


def read(pieces: list[str]) -> str:
    markdown = Markdown()
    return "".join(map(markdown.feed, pieces)) + markdown.finish()


@pytest.mark.parametrize("text", READ)
def test_read_aloud(text: str) -> None:
    assert read([text]) == READ[text]


@given(st.lists(st.sampled_from([*SIGNS, "a", "5", " "]), max_size=20).map("".join), st.lists(st.integers(0, 500)))
def test_any_split_equals_the_whole(text: str, cuts: list[int]) -> None:
    assert read(split(text, cuts)) == read([text]) == read(list(text))


@given(st.text(alphabet=st.characters(exclude_characters="\\*_~`[!|-=#>+:"), max_size=50))
def test_text_without_signs_comes_out_as_it_went_in(text: str) -> None:
    assert read(list(text)) == text


def test_words_are_not_kept_back() -> None:
    markdown = Markdown()
    assert markdown.feed("One **moment") == "One moment"
    assert markdown.feed("** please") == " please"
