"""What follows from several members together."""

import pytest

from server.errors import InvalidRequest
from server.protocol import StreamOptions


@pytest.mark.parametrize(
    ("members", "limit", "path"),
    [
        ({}, None, ("messages",)),
        ({"max_tokens": 5}, 5, ("max_tokens",)),
        ({"max_completion_tokens": 7}, 7, ("max_completion_tokens",)),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7, ("max_completion_tokens",)),
        ({"max_tokens": 9, "max_completion_tokens": None}, 9, ("max_tokens",)),
    ],
)
def test_the_newer_name_of_the_limit_wins(members, limit, path, chat) -> None:
    request = chat(**members)
    assert (request.output_limit, request.output_path) == (limit, path)


def test_both_names_of_the_limit_are_checked(faults) -> None:
    assert faults(max_tokens=0, max_completion_tokens=0) == [
        ("too_small", ("max_tokens",)),
        ("too_small", ("max_completion_tokens",)),
    ]


@pytest.mark.parametrize(
    ("members", "alternatives"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 0}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
    ],
)
def test_logprobs_of_chats(members, alternatives, chat) -> None:
    assert chat(**members).alternatives == alternatives


@pytest.mark.parametrize("logprobs", [{}, {"logprobs": None}, {"logprobs": False}])
def test_alternatives_need_logprobs(logprobs, faults) -> None:
    assert faults(**logprobs, top_logprobs=1) == [("custom", ("top_logprobs",))]


def test_a_malformed_logprobs_is_one_fault(faults) -> None:
    assert faults(logprobs="yes", top_logprobs=1) == [("invalid_type", ("logprobs",))]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_least_output_is_not_above_the_most(name, chat, faults) -> None:
    assert chat(**{name: 4}, min_tokens=4).min_tokens == 4
    assert faults(**{name: 4}, min_tokens=5) == [("too_big", ("min_tokens",))]


def test_the_least_output_is_compared_with_the_limit_that_counts(chat, completion) -> None:
    assert chat(max_tokens=1, max_completion_tokens=9, min_tokens=5).min_tokens == 5
    assert completion(min_tokens=16).min_tokens == 16
    with pytest.raises(InvalidRequest):
        completion(min_tokens=17)


def test_stream_options_are_tolerated_without_a_stream(chat) -> None:
    request = chat(stream_options={"include_usage": True, "x": 1})
    assert not request.stream
    assert request.stream_options == StreamOptions(include_usage=True)


@pytest.mark.parametrize("prompt", ["Hello", ["Hello"]])
def test_a_prompt_is_one_text(prompt, completion) -> None:
    request = completion(prompt=prompt)
    assert request.prompt == "Hello"
    assert (request.output_limit, request.output_path, request.alternatives) == (16, ("max_tokens",), None)


@pytest.mark.parametrize(
    ("prompt", "path", "words"),
    [
        ([1, 2], ("prompt",), "Token ids"),
        ([[1, 2]], ("prompt",), "Token ids"),
        (["a", "b"], ("prompt",), "one prompt"),
        ([], ("prompt",), "one prompt"),
        ("", ("prompt",), "at least 1"),
        ([""], ("prompt", "0"), "at least 1"),
        ([None], ("prompt", "0"), "Expected string"),
        (5, ("prompt",), "Expected string or array"),
    ],
)
def test_other_prompts_are_refused_in_clear_words(prompt, path, words, completion) -> None:
    with pytest.raises(InvalidRequest) as caught:
        completion(prompt=prompt)
    (detail,) = caught.value.details
    assert detail.path == path
    assert words in detail.message


def test_members_of_chats_have_no_effect_on_completions(completion) -> None:
    assert completion(messages=[], tools="x", tool_choice=5, top_logprobs=99) == completion()
