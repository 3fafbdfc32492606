"""The evaluation judged by itself: the expected turns pass every measure, spoilt ones fail."""

from collections import defaultdict

import pytest
from openai.types.chat import ChatCompletionMessage

from benchmarks.nano_eval import TARGETS, Question, _wire_form, is_filler, judge, questions, table

QUESTIONS = questions(150)


def answer(question: Question, **changes) -> ChatCompletionMessage:
    message = _wire_form(question.expected)
    fields = {"content": message["content"], "tool_calls": message.get("tool_calls")} | changes
    return ChatCompletionMessage.model_validate({"role": "assistant", **fields})


def test_the_expected_turns_pass_every_measure():
    marks = defaultdict(list)
    for question in QUESTIONS:
        for measure, passed in judge(question, answer(question)):
            marks[measure].append(passed)
    assert set(marks) == set(TARGETS)
    assert all(all(passed) for passed in marks.values())
    assert "100.0 %" in table(marks, 61.0)


def test_a_call_of_another_tool_or_with_another_argument_fails():
    question = next(question for question in QUESTIONS if question.kind == "call")
    call = _wire_form(question.expected)["tool_calls"][0]
    for function, measure in (({"name": "other"}, "right tool"), ({"arguments": "{}"}, "arguments exact")):
        spoilt = {**call, "function": {**call["function"], **function}}
        assert dict(judge(question, answer(question, tool_calls=[spoilt])))[measure] is False


def test_speech_where_a_call_is_due_and_calls_where_none_is_fail():
    call = _wire_form(next(q for q in QUESTIONS if q.kind == "call").expected)["tool_calls"]
    for question in QUESTIONS:
        if question.kind == "no_tool":
            assert not any(passed for _, passed in judge(question, answer(question, content=None, tool_calls=call)))
        if question.kind == "call":
            assert dict(judge(question, answer(question, tool_calls=None)))["right tool"] is False


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Let me check that for you.", True),
        ("One moment…", True),
        ("Okay, I'm locking card 4.50 now.", True),
        ("एक पल रुकिए।", True),
        ("Sure. Let me look.", False),
        ("Let me check", False),
        ("One two three four five six seven eight nine ten eleven twelve thirteen.", False),
        ("", False),
        (None, False),
    ],
)
def test_a_filler_is_one_short_sentence(text, good):
    assert is_filler(text) is good
