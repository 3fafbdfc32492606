"""The OpenAI SDK, unmodified: plain and streamed answers."""

import time
import uuid

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

MESSAGES = [
    {"role": "system", "content": "You are a friendly phone agent."},
    {"role": "user", "content": "Hello there!"},
]


def whole(client: openai.OpenAI, **options) -> ChatCompletion:
    return client.chat.completions.create(**{"model": "electron", "messages": MESSAGES, "max_tokens": 24} | options)


def streamed(client: openai.OpenAI, **options) -> list[ChatCompletionChunk]:
    return list(whole(client, stream=True, **options))


def content_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def finish_of(chunks: list[ChatCompletionChunk]) -> str:
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert all(reason is None for reason in reasons[:-1])
    return reasons[-1]


def test_a_plain_answer(client: openai.OpenAI) -> None:
    before = int(time.time())
    answer = whole(client, seed=1)
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert before <= answer.created <= time.time()
    assert answer.model == "electron"
    assert answer.system_fingerprint.startswith("fp_")
    (choice,) = answer.choices
    assert (choice.index, choice.message.role, choice.message.tool_calls) == (0, "assistant", None)
    assert choice.finish_reason in ("stop", "length")
    assert choice.logprobs is None


def test_a_streamed_answer(client: openai.OpenAI) -> None:
    chunks = streamed(client, seed=1)
    assert {(chunk.id, chunk.object, chunk.created, chunk.model, chunk.system_fingerprint) for chunk in chunks} == {
        (chunks[0].id, "chat.completion.chunk", chunks[0].created, "electron", chunks[0].system_fingerprint)
    }
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant"] + [None] * (len(chunks) - 1)
    assert finish_of(chunks) in ("stop", "length")
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "options", [{}, {"stop": ["e"]}, {"temperature": 0}, {"logprobs": True, "top_logprobs": 2}], ids=str
)
def test_streamed_equals_collected(client: openai.OpenAI, seed: int, options: dict) -> None:
    answer = whole(client, seed=seed, **options)
    chunks = streamed(client, seed=seed, stream_options={"include_usage": True}, **options)
    choice = answer.choices[0]
    assert content_of(chunks) == choice.message.content
    assert finish_of(chunks[:-1]) == choice.finish_reason
    for count in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert getattr(chunks[-1].usage, count) == getattr(answer.usage, count)
    if options.get("logprobs"):
        spread = [entry for chunk in chunks[:-1] for entry in getattr(chunk.choices[0].logprobs, "content", None) or []]
        assert [entry.token for entry in spread] == [entry.token for entry in choice.logprobs.content]


def test_the_same_seed_gives_the_same_text_and_others_do_not(client: openai.OpenAI) -> None:
    # What a trained model means to say hangs on no seed; what it says after its end does.
    free = {"temperature": 2, "extra_body": {"min_tokens": 24}}
    texts = [whole(client, seed=seed, **free).choices[0].message.content for seed in (5, 5, 6, 7, 8)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_usage_adds_up(client: openai.OpenAI) -> None:
    answer = whole(client, max_tokens=7, extra_body={"ignore_eos": True})
    usage = answer.usage
    assert usage.completion_tokens == 7
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 <= usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
    assert answer.choices[0].finish_reason == "length"


def test_one_usage_chunk_and_only_when_asked(client: openai.OpenAI) -> None:
    chunks = streamed(client, stream_options={"include_usage": True})
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    assert with_usage == [chunks[-1]]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens is not None
    assert not [chunk for chunk in streamed(client, stream_options={"include_usage": False}) if chunk.usage]


def test_the_documented_cache_check(client: openai.OpenAI) -> None:
    """The same two-line prompt twice. A line before it makes it new the first time."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is 2+2?"},
    ]
    fresh = [{"role": "system", "content": f"Call {uuid.uuid4()}"}, *messages]
    first, second = (whole(client, messages=fresh, max_tokens=1).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens > 0
    whole(client, messages=messages, max_tokens=1)
    assert whole(client, messages=messages, max_tokens=1).usage.prompt_tokens_details.cached_tokens > 0


def test_stop_strings_end_the_answer_and_are_no_part_of_it(client: openai.OpenAI) -> None:
    text = whole(client, seed=3, temperature=1.5, max_tokens=40).choices[0].message.content
    stop = text[len(text) // 2 : len(text) // 2 + 2]
    answer = whole(client, seed=3, temperature=1.5, max_tokens=40, stop=stop)
    assert answer.choices[0].message.content == text[: text.index(stop)].rstrip() or text.startswith(
        answer.choices[0].message.content
    )
    assert stop not in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("top", [None, 0, 1, 20])
def test_logprobs_in_openais_shape(client: openai.OpenAI, top: int | None) -> None:
    options = {} if top is None else {"top_logprobs": top}
    answer = whole(client, seed=2, max_tokens=12, logprobs=True, temperature=1.5, **options)
    entries = answer.choices[0].logprobs.content
    assert b"".join(bytes(entry.bytes) for entry in entries).decode("utf-8", "replace").strip() == (
        answer.choices[0].message.content.strip()
    )
    for entry in entries:
        assert entry.token == bytes(entry.bytes).decode("utf-8", "replace")
        assert entry.logprob <= 0
        assert len(entry.top_logprobs) == (top or 0)
        ordered = [alternative.logprob for alternative in entry.top_logprobs]
        assert ordered == sorted(ordered, reverse=True)


def test_logit_bias_decides(client: openai.OpenAI) -> None:
    answer = whole(client, max_tokens=4, logit_bias={"70": 100}, extra_body={"ignore_eos": True}, logprobs=True)
    assert len({entry.token for entry in answer.choices[0].logprobs.content}) == 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_who_forbids_all_that_it_allows_harms_nobody_else(client: openai.OpenAI, temperature: float) -> None:
    impossible = {"allowed_token_ids": [70], "stop_token_ids": [70], "min_tokens": 3}
    assert whole(client, temperature=temperature, extra_body=impossible).choices[0].finish_reason == "stop"
    tool = {"type": "function", "function": {"name": "look"}}
    with pytest.raises(openai.BadRequestError, match="allowed_token_ids"):
        whole(
            client,
            temperature=temperature,
            tools=[tool],
            tool_choice="required",
            extra_body={"allowed_token_ids": [70]},
        )
    assert whole(client).choices[0].message.content


def test_both_prefixes_serve_the_same(server, client: openai.OpenAI) -> None:
    with openai.OpenAI(base_url=f"{server.root}/waves/v1", api_key="sk_test", max_retries=0) as waves:
        answers = [whole(each, seed=11).choices[0].message.content for each in (client, waves)]
        assert answers[0] == answers[1]
        assert (
            [model.id for model in waves.models.list()] == [model.id for model in client.models.list()] == ["electron"]
        )


def test_models(client: openai.OpenAI) -> None:
    model = client.models.retrieve("electron")
    assert (model.id, model.object) == ("electron", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_text_completions(client: openai.OpenAI) -> None:
    options = {"model": "electron", "prompt": "Once upon a time", "max_tokens": 12, "seed": 4}
    answer = client.completions.create(**options)
    chunks = list(client.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    assert answer.object == chunks[0].object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == answer.choices[0].text
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens
    legacy = client.completions.create(**options, logprobs=2).choices[0].logprobs
    assert len(legacy.tokens) == len(legacy.token_logprobs) == len(legacy.top_logprobs) == len(legacy.text_offset)


def test_echoed_messages_with_all_the_keys_we_sent_come_back_in(client: openai.OpenAI) -> None:
    answer = whole(client, seed=1).choices[0].message
    history = [*MESSAGES, answer, {"role": "user", "content": "And then?"}]
    assert whole(client, messages=history).choices


def test_documented_message_orders(client: openai.OpenAI) -> None:
    messages = [
        {"role": "system", "content": "You are a friendly phone agent."},
        {"role": "system", "content": "The caller's order is number 12."},
        {"role": "user", "content": "Hi."},
        {"role": "user", "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "my order?"}]},
        {"role": "assistant", "content": "One moment."},
        {"role": "assistant", "content": "It is on its way."},
        {"role": "user", "content": "Thanks"},
    ]
    assert whole(client, messages=messages).usage.prompt_tokens > 30
