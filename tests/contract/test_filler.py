"""Words before a tool call, by a running server: on every kind of turn, in every order of the stream."""

from collections.abc import Sequence

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from benchmarks.filler import Report, converse, faults_of, scripts
from tests.conftest import Server

VOICE = {
    "role": "system",
    "content": "You are a friendly phone agent. Briefly acknowledge out loud before using a tool.",
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Pune", "Mumbai"]}},
            "required": ["city"],
        },
    },
}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
ASKED = {"role": "user", "content": "How is the weather in Pune?"}
CONVERSATIONS = 4

forced = pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])


def asked(client: openai.OpenAI, messages: Sequence[dict] = (VOICE, ASKED), filler: object = None, **options: object):
    body = {"model": "electron", "messages": list(messages), "tools": [WEATHER], "max_tokens": 300, **options}
    return client.chat.completions.create(**body, extra_body={"filler": filler})


@pytest.mark.parametrize("strategy", ["grammar", "phrase"])
async def test_conversations_with_a_voice_prompt(server: Server, strategy: str) -> None:
    report, source = Report(), scripts(voice=True)
    async with httpx.AsyncClient(base_url=server.url, timeout=600) as client:
        for number in range(CONVERSATIONS):
            await converse(client, next(source), number, report, filler={"strategy": strategy})
    assert report.called
    assert not report.faults
    speaker = "model" if strategy == "grammar" else "phrase"
    assert report.spoken[speaker] >= report.calls["required"] + report.calls["named"]
    assert report.spoken["model"] + report.spoken["phrase"] == report.called


async def test_conversations_without_one(server: Server) -> None:
    report, source = Report(), scripts(voice=False)
    async with httpx.AsyncClient(base_url=server.url, timeout=600) as client:
        for number in range(CONVERSATIONS):
            await converse(client, next(source), number, report)
    assert report.called
    assert not report.faults


@forced
def test_a_call_that_nobody_announces_has_no_content(client: openai.OpenAI, choice: object) -> None:
    for messages, filler in (([ASKED], None), ([VOICE, ASKED], "off")):
        message = asked(client, messages, filler, tool_choice=choice).choices[0].message
        assert message.content is None
        assert message.tool_calls
        assert not hasattr(message, "x_filler")


@forced
@pytest.mark.parametrize("filler", [None, {"strategy": "phrase"}], ids=["model", "phrase"])
def test_words_come_first_and_their_speaker_last(client: openai.OpenAI, choice: object, filler: object) -> None:
    chunks: list[ChatCompletionChunk] = list(asked(client, filler=filler, tool_choice=choice, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    order = ["call" if delta.tool_calls else "words" for delta in deltas if delta.tool_calls or delta.content]
    assert order == sorted(order, reverse=True)
    assert {"call", "words"} <= set(order)
    assert not any(delta.content and delta.tool_calls for delta in deltas)
    speakers = [getattr(delta, "x_filler", None) for delta in deltas]
    assert speakers == [None] * (len(deltas) - 1) + ["phrase" if filler else "model"]
    words = "".join(delta.content or "" for delta in deltas)
    assert not faults_of({"content": words, "x_filler": speakers[-1]}, [])


def test_a_streamed_answer_says_the_same_as_a_whole_one(client: openai.OpenAI) -> None:
    whole = asked(client, tool_choice="required", seed=7).choices[0].message
    chunks = list(asked(client, tool_choice="required", seed=7, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.content
    assert chunks[-1].choices[0].delta.x_filler == whole.x_filler == "model"


@forced
def test_the_echoed_message_is_taken_and_its_words_are_not_said_again(client: openai.OpenAI, choice: object) -> None:
    messages, said = [VOICE, ASKED], []
    for _ in range(3):
        message = asked(client, messages, {"strategy": "phrase"}, tool_choice=choice).choices[0].message
        said.append(message.content)
        results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
        messages += [message.model_dump(), *results, ASKED]
    assert len(set(said)) == len(said)


def test_a_sentence_that_the_model_repeats_is_continued(client: openai.OpenAI) -> None:
    first = asked(client, tool_choice="required", seed=11, temperature=0.0).choices[0].message
    echoed = {"role": "assistant", "content": first.content}
    for _ in range(4):
        again = asked(client, [VOICE, ASKED, echoed, ASKED], tool_choice="required", seed=11, temperature=0.0)
        assert not faults_of(again.choices[0].message.model_dump(), [first.content])


def test_a_phrase_in_the_callers_language(client: openai.OpenAI) -> None:
    hindi = {"role": "user", "content": "पुणे में मौसम कैसा है?"}
    for filler in ({"strategy": "phrase"}, None):
        message = asked(client, [VOICE, hindi], filler, tool_choice="required").choices[0].message
        assert all("\u0900" <= character <= "\u097f" for character in message.content if character.isalpha())


@pytest.mark.parametrize("limit", [{"stop": ["."]}, {"max_tokens": 63}], ids=str)
def test_where_a_sentence_would_be_cut_the_server_speaks(client: openai.OpenAI, limit: dict) -> None:
    choice = asked(client, tool_choice="required", **limit).choices[0]
    assert choice.message.x_filler == "phrase"
    assert not faults_of({"content": choice.message.content, "x_filler": "phrase"}, [])


def test_a_phrase_is_not_billed(client: openai.OpenAI) -> None:
    options = {"tool_choice": "required", "seed": 3, "temperature": 0.0}
    plain = asked(client, filler="off", **options)
    phrase = asked(client, filler={"mode": "always", "strategy": "phrase"}, **options)
    assert phrase.usage.completion_tokens == plain.usage.completion_tokens
    assert phrase.usage.prompt_tokens == plain.usage.prompt_tokens


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_in_json_mode_a_call_has_words_and_an_answer_has_none(client: openai.OpenAI, choice: str) -> None:
    form = {"type": "json_object"}
    message = asked(client, tool_choice=choice, response_format=form, max_tokens=200).choices[0].message
    if message.tool_calls:
        assert not faults_of(message.model_dump(), [])
    else:
        assert message.content.startswith("{")


def test_without_a_call_to_come_nothing_is_said_for_the_model(client: openai.OpenAI) -> None:
    message = asked(client, tool_choice="none", seed=5, max_tokens=40).choices[0].message
    assert message.tool_calls is None
    assert not hasattr(message, "x_filler")
