"""Deltas to events: nothing is lost on the way, however the text is cut."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st

from server.parsing import collect, make_parser
from server.pipeline import parsed
from server.records import Delta, Event, Finish, PositionLogprobs, Text, TokenLogprob, ToolCall
from server.telemetry.requests import Meter

CALL = '<tool_call>\n{"name": "look", "arguments": {"q": 1}}\n</tool_call>'


def delta(text: str, number: int, reason: str | None = None) -> Delta:
    chosen = PositionLogprobs(TokenLogprob(number, text.encode(), -float(number)))
    return Delta(text, (number,), 10, 5, (chosen,), reason)


async def answer(pieces: list[str], *, tools: bool = True, reason: str = "stop") -> list[Event]:
    async def deltas() -> AsyncGenerator[Delta, None]:
        for number, piece in enumerate(pieces):
            yield delta(piece, number, reason if number == len(pieces) - 1 else None)

    parser = make_parser("hermes", tools=tools)
    async with aclosing(parsed(deltas(), parser, Meter(lambda: 0.0), lambda: None)) as events:
        return [event async for event in events]


def pieces_of(text: str) -> st.SearchStrategy[list[str]]:
    cuts = st.lists(st.integers(0, len(text)), max_size=12).map(sorted)
    return cuts.map(lambda at: [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)])


@given(pieces_of(f"One moment.\n{CALL} Done."))
async def test_every_logprob_arrives_once_and_in_order(pieces: list[str]) -> None:
    events = await answer(pieces)
    carried = [entry for event in events if isinstance(event, Text | Finish) for entry in event.logprobs]
    assert [entry.chosen.token_id for entry in carried] == list(range(len(pieces)))


@given(pieces_of(f"One moment.\n{CALL}"))
async def test_any_cut_gives_the_same_message(pieces: list[str]) -> None:
    message = collect(await answer(pieces))
    assert message.content == "One moment."
    assert [(call.name, call.arguments) for call in message.calls] == [("look", '{"q": 1}')]


async def test_the_finish_reason_says_that_tools_are_called() -> None:
    assert (await answer([CALL]))[-1].reason == "tool_calls"
    assert (await answer(["Hello."]))[-1].reason == "stop"


async def test_an_answer_cut_by_length_says_so_even_after_a_call() -> None:
    assert (await answer([CALL, " and"], reason="length"))[-1].reason == "length"


async def test_no_tools_no_calls() -> None:
    events = await answer([CALL], tools=False)
    assert not [event for event in events if isinstance(event, ToolCall | Text)]
    assert events[-1].reason == "stop"


async def test_usage_counts_every_token_of_the_engine() -> None:
    usage = (await answer(["a", "b", CALL]))[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (10, 3, 5)
