from hypothesis import given
from hypothesis import strategies as st

from server.parsing.speech import Speech

texts = st.text(alphabet="ab \n\t\u3000é")


def say(speech: Speech, pieces: list[str]) -> str:
    return "".join(map(speech.feed, pieces))


@given(pieces=st.lists(texts))
def test_uninterrupted_text_comes_out_as_it_went_in(pieces: list[str]) -> None:
    speech = Speech()
    assert say(speech, pieces) + speech.finish() == "".join(pieces)


@given(before=st.lists(texts), after=st.lists(texts))
def test_an_interruption_takes_the_place_of_the_whitespace_around_it(before: list[str], after: list[str]) -> None:
    speech = Speech()
    said = say(speech, before)
    speech.part()
    said += say(speech, after) + speech.finish()
    head, tail = "".join(before).rstrip(), "".join(after).strip()
    assert said == head + ("\n" if head and tail else "") + tail


@given(text=texts)
def test_no_piece_ends_in_whitespace(text: str) -> None:
    speech = Speech()
    assert all(piece == piece.rstrip() for piece in map(speech.feed, text))
