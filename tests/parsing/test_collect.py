import pytest

from server.parsing import CollectedCall, collect
from server.records import Arguments, Finish, PositionLogprobs, Text, TokenLogprob, ToolCall, Usage
from tests.parsing.case_files import Case, feed_all, load_all


def at(token_id: int) -> PositionLogprobs:
    return PositionLogprobs(TokenLogprob(token_id, b"x", -0.5))


def test_words_and_calls() -> None:
    message = collect(
        [
            Text("One "),
            Text("moment."),
            ToolCall(0, "a", "f"),
            Arguments(0, '{"x":'),
            Arguments(0, "1}"),
            ToolCall(1, "b", "g"),
            Arguments(1, "{}"),
        ]
    )
    assert message.content == "One moment."
    assert message.calls == (CollectedCall("a", "f", '{"x":1}'), CollectedCall("b", "g", "{}"))


def test_a_turn_of_calls_alone_has_no_content() -> None:
    assert collect([ToolCall(0, "a", "f"), Arguments(0, "{}")]).content is None


def test_a_turn_of_nothing_has_empty_content() -> None:
    assert collect([]).content == ""


def test_logprobs_of_all_events_in_order() -> None:
    finish = Finish("stop", Usage(3, 2, 0), (at(3),))
    message = collect([Text("a", (at(1), at(2))), Text("b"), finish])
    assert [position.chosen.token_id for position in message.logprobs] == [1, 2, 3]
    assert message.finish == finish


@pytest.mark.parametrize("case", load_all(), ids=lambda case: case.name)
def test_streamed_equals_collected(case: Case) -> None:
    message = collect(feed_all(case.parser(), list(case.text)))
    assert (message.content or "") == case.content
    assert [(call.name, call.arguments) for call in message.calls] == case.calls
