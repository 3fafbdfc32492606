"""The window of 32,768 tokens, prompt and output together, at its exact edge."""

import httpx
import pytest

LIMIT = 32_768
CHAT = "/v1/chat/completions"


def body(content: str = "Hello", **options) -> dict:
    return {"model": "electron", "messages": [{"role": "user", "content": content}], **options}


@pytest.fixture(scope="module")
def prompt_tokens(http: httpx.Client) -> int:
    return http.post(CHAT, json=body(max_tokens=1)).json()["usage"]["prompt_tokens"]


def first_line(http: httpx.Client, request: dict) -> str:
    """The first event of a stream, after which the caller hangs up."""
    with http.stream("POST", CHAT, json=request | {"stream": True}) as response:
        assert response.status_code == 200, response.read()
        return next(response.iter_lines())


def test_prompt_and_output_up_to_the_limit(http: httpx.Client, prompt_tokens: int) -> None:
    assert first_line(http, body(max_tokens=LIMIT - prompt_tokens)).startswith("data: ")


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_one_token_more(http: httpx.Client, prompt_tokens: int, field: str) -> None:
    asked = LIMIT - prompt_tokens + 1
    response = http.post(CHAT, json=body(**{field: asked}))
    assert response.status_code == 400
    (detail,) = response.json()["error"]["details"]
    assert detail["code"] == "context_length_exceeded"
    assert detail["path"] == [field]
    assert (detail["prompt_tokens"], detail["max_tokens"]) == (prompt_tokens, asked)
    assert (detail["limit"], detail["overflow"]) == (LIMIT, 1)


def test_the_output_may_be_left_open(http: httpx.Client) -> None:
    assert first_line(http, body()).startswith("data: ")


def test_a_prompt_that_leaves_room_for_one_token_and_one_that_does_not(http: httpx.Client) -> None:
    """Words of one token each, so that the length of the prompt is known before it is sent."""
    overhead = usage(http, "a")["prompt_tokens"] - 1
    per_word = usage(http, "a" + " a" * 100)["prompt_tokens"] - 1 - overhead
    assert per_word == 100
    words = LIMIT - 1 - overhead
    fits = "a" + " a" * (words - 1)
    counted = usage(http, fits)
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (LIMIT - 1, 1, LIMIT)
    response = http.post(CHAT, json=body(fits + " a"))
    assert response.status_code == 400
    (detail,) = response.json()["error"]["details"]
    assert (detail["code"], detail["path"]) == ("context_length_exceeded", ["messages"])
    assert detail["prompt_tokens"] == LIMIT


def usage(http: httpx.Client, content: str) -> dict:
    response = http.post(CHAT, json=body(content, max_tokens=1, ignore_eos=True))
    assert response.status_code == 200, response.text
    return response.json()["usage"]
