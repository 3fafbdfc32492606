"""The sampling fields of requests, as the engine takes them."""

import dataclasses

import numpy
import pytest

from server.prompt.sampling import sampling_of
from server.protocol import ChatRequest, CompletionRequest
from server.records import Sampling


def chat(**members: object) -> ChatRequest:
    return ChatRequest(model="electron", messages=(), **members)


def completion(**members: object) -> CompletionRequest:
    return CompletionRequest(model="electron", prompt="Hello", **members)


@pytest.mark.parametrize("make", [chat, completion])
def test_defaults_are_the_engines(make) -> None:
    assert sampling_of(make(), 5) == Sampling(max_tokens=5)


SET = {
    "temperature": 0.5,
    "top_p": 0.25,
    "top_k": 7,
    "min_p": 0.125,
    "presence_penalty": 1.0,
    "frequency_penalty": -1.0,
    "repetition_penalty": 1.5,
    "seed": -3,
    "stop": ("a",),
    "stop_token_ids": (4,),
    "include_stop_str_in_output": True,
    "ignore_eos": True,
    "min_tokens": 2,
    "logit_bias": {3: -1.0},
    "bad_words": ("b",),
    "allowed_token_ids": (9,),
}


@pytest.mark.parametrize("make", [chat, completion])
def test_every_field_is_carried_over(make) -> None:
    assert sampling_of(make(**SET), 5) == Sampling(max_tokens=5, **SET)
    ours = {"max_tokens", "logprobs", "skip_special_tokens"}
    assert {field.name for field in dataclasses.fields(Sampling)} == set(SET) | ours


def test_a_nucleus_of_nothing_is_the_smallest_the_engine_can_tell_from_nothing() -> None:
    top_p = sampling_of(chat(top_p=0.0), 5).top_p
    assert numpy.float32(top_p) == numpy.finfo(numpy.float32).smallest_normal


@pytest.mark.parametrize("top_k", [-1, 0])
def test_both_ways_to_switch_top_k_off(top_k: int) -> None:
    assert sampling_of(chat(top_k=top_k), 5).top_k == 0


def test_the_least_output_gives_way_to_the_window() -> None:
    assert sampling_of(chat(min_tokens=9), 5).min_tokens == 5


@pytest.mark.parametrize(
    ("request_", "logprobs"),
    [
        (chat(), None),
        (chat(logprobs=True), 0),
        (chat(logprobs=True, top_logprobs=3), 3),
        (completion(), None),
        (completion(logprobs=0), 0),
        (completion(logprobs=5), 5),
    ],
)
def test_logprobs(request_, logprobs) -> None:
    assert sampling_of(request_, 5).logprobs == logprobs
