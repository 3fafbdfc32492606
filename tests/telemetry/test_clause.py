"""The first words that can be spoken, found at the same place however the text is split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.telemetry.clause import ClauseWatch

LENGTH = 12


def end_of(pieces: list[str]) -> int | None:
    """Characters up to and with the one that ended the clause, found character by character; None: not ended."""
    watch = ClauseWatch(LENGTH)
    for position, character in enumerate("".join(pieces), 1):
        if watch.feed(character):
            return position
    return None


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Sure. I will", "Sure."),
        ("It costs 3.50 dollars. Fine?", "It costs 3.50 dollars."),
        ("Well, let me look, please", "Well, let me look,"),
        ("Really?! Yes", "Really?!"),
        ('He said "stop." Then', 'He said "stop."'),
        ("1,000,000 of them: all", "1,000,000 of them:"),
    ],
)
def test_marks_count_when_white_space_follows(text: str, spoken: str) -> None:
    assert end_of([text]) == len(spoken) + 1


@pytest.mark.parametrize(
    "text", ["एक पल रुकिए।", "少々お待ちください。", "让我查一下这个订单的状态，", "Let me check…", "Hello\n"]
)
def test_marks_of_sentences_alone_count_at_once(text: str) -> None:
    assert end_of([text]) == len(text)


@pytest.mark.parametrize("text", ["", "...", " \n ", "Sure.", "Let me check", "a, b", "?! ,"])
def test_not_yet(text: str) -> None:
    assert end_of([text]) is None


def test_what_no_mark_ends_ends_with_the_content() -> None:
    watch = ClauseWatch(LENGTH)
    assert not watch.feed("One moment")
    assert watch.finish()
    assert not watch.finish()


def test_without_words_there_is_no_clause() -> None:
    watch = ClauseWatch(LENGTH)
    watch.feed(" … ")
    assert not watch.finish()


texts = st.text(alphabet=st.sampled_from(list('ab3 .,?!"…।。，\n')), max_size=40)


@given(texts, st.data())
def test_any_split_ends_in_the_same_piece(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    watch, ended = ClauseWatch(LENGTH), []
    for piece in pieces:
        ended.append(watch.feed(piece))
    end = end_of(pieces)
    assert sum(ended) == (end is not None)
    if end is not None:
        seen = sum(map(len, pieces[: ended.index(True)]))
        assert seen < end <= seen + len(pieces[ended.index(True)])
