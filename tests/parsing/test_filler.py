"""Words before the first call: the model's, the server's, and no sentence twice."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.parsing import Filled, ParserEvent, make_parser
from server.records import Arguments, FillerPlan, Text, ToolCall

CALL = '<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "book", "arguments": {}}\n</tool_call>'
PHRASES = FillerPlan(phrases={"look": "Let me see.", "book": "I'll do that."})
AT_ONCE = FillerPlan(at_once="One moment, please.")
SAID = "Let me check that for you."
LONG = "I will now look for the next free appointment with the doctor in all of her calendars at once."
ENDINGS = (", one moment, please.", ", give me a moment.")
ROOM = {"words_to_end": 11, "characters_to_end": 75}
AGAIN = FillerPlan(said=(SAID, LONG), endings=ENDINGS, **ROOM)


def events_of(pieces: Sequence[str], plan: FillerPlan) -> tuple[list[ParserEvent], int]:
    """The events, and how often the server has spoken."""
    phrases: list[None] = []
    new_ids = iter(range(9))
    family = make_parser("hermes", tools=True, new_id=lambda: f"call_{next(new_ids)}")
    parser = Filled(family, plan, lambda: phrases.append(None))
    events = [event for piece in pieces for event in parser.feed(piece)]
    return [*events, *parser.finish()], len(phrases)


def told(text: str, plan: FillerPlan) -> tuple[str, list[str], int]:
    """Content, names of the calls, how often the server has spoken."""
    events, phrases = events_of([text], plan)
    return content_of(events), [event.name for event in events if isinstance(event, ToolCall)], phrases


def content_of(events: Sequence[ParserEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def test_a_silent_call_is_announced_by_a_phrase_for_its_tool() -> None:
    assert told(CALL, PHRASES) == ("Let me see.", ["look"], 1)
    assert told(OTHER, PHRASES) == ("I'll do that.", ["book"], 1)


def test_the_phrase_comes_before_the_call_and_once_a_turn() -> None:
    events, phrases = events_of([OTHER + "\n" + CALL], PHRASES)
    kinds = [type(event) for event in events]
    assert kinds == [Text, ToolCall, Arguments, ToolCall, Arguments]
    assert (content_of(events), phrases) == ("I'll do that.", 1)


def test_words_of_the_models_own_are_enough() -> None:
    assert told(f"One second.\n{CALL}", PHRASES) == ("One second.", ["look"], 0)


def test_a_mark_alone_is_no_word() -> None:
    assert told(f"…\n{CALL}", PHRASES)[1:] == (["look"], 1)
    assert "Let me see." in told(f"…\n{CALL}", PHRASES)[0]


def test_a_plain_answer_is_left_alone() -> None:
    assert told("It is sunny in Pune.", PHRASES) == ("It is sunny in Pune.", [], 0)
    assert told(SAID, AGAIN) == (SAID, [], 0)
    assert told(LONG + " And more.", AGAIN) == (LONG + " And more.", [], 0)


def test_after_a_phrase_at_once_the_model_need_not_speak() -> None:
    assert told(f"Let me see.\n{CALL}", AT_ONCE) == ("", ["look"], 0)


def test_what_the_model_says_instead_of_calling_is_not_lost() -> None:
    assert told("I cannot do that.", AT_ONCE) == (" I cannot do that.", [], 0)


def test_a_sentence_of_an_earlier_turn_is_continued() -> None:
    assert told(f"{SAID}\n{CALL}", AGAIN) == ("Let me check that for you, one moment, please.", ["look"], 0)


@pytest.mark.parametrize(
    "variant", ["let me check that for you.", "Let me check that for you!", "Let me check that for you"]
)
def test_a_different_stop_or_capital_is_the_same_sentence(variant: str) -> None:
    content, _, _ = told(f"{variant}\n{CALL}", AGAIN)
    assert content.lower() == "let me check that for you, one moment, please."


def test_a_continuation_that_was_said_is_not_said_again() -> None:
    said = (SAID, "Let me check that for you, one moment, please.")
    plan = FillerPlan(said=said, endings=ENDINGS, **ROOM)
    assert told(f"{SAID}\n{CALL}", plan)[0] == "Let me check that for you, give me a moment."


def test_a_long_sentence_makes_room_for_its_continuation() -> None:
    content, _, _ = told(f"{LONG}\n{CALL}", AGAIN)
    assert content.endswith(ENDINGS[0])
    assert content != LONG
    assert LONG.startswith(content.removesuffix(ENDINGS[0]))
    assert len(content) <= 100
    assert len(content.split()) <= 15


def test_nothing_is_kept_back_but_the_stop() -> None:
    parser = Filled(make_parser("hermes", tools=True), AGAIN, lambda: None)
    assert content_of(parser.feed("Let me check that for you")) == "Let me check that for you"
    assert content_of(parser.feed(".")) == ""
    assert content_of(parser.feed(" It")) == ". It"


WRITTEN = st.sampled_from([SAID, LONG, "One second.", "…", "", "Let me check that.", "It is sunny. And warm."])
PLANS = st.sampled_from([PHRASES, AT_ONCE, AGAIN])


@given(words=WRITTEN, calls=st.sampled_from(["", CALL, CALL + "\n" + OTHER]), plan=PLANS, data=st.data())
def test_any_split_gives_the_same(words: str, calls: str, plan: FillerPlan, data: st.DataObject) -> None:
    text = f"{words}\n{calls}" if calls else words
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    split, phrases = events_of(pieces, plan)
    whole, once = events_of([text], plan)
    assert content_of(split) == content_of(whole)
    assert [event for event in split if isinstance(event, ToolCall)] == [
        event for event in whole if isinstance(event, ToolCall)
    ]
    assert phrases == once


@given(words=WRITTEN, plan=PLANS)
def test_a_call_is_never_without_words_nor_after_the_same_ones(words: str, plan: FillerPlan) -> None:
    content, calls, phrases = told(f"{words}\n{CALL}", plan)
    assert calls == ["look"]
    assert plan.at_once or not plan.phrases or any(character.isalnum() for character in content)
    assert content not in plan.said
    assert phrases <= 1
