"""A caller cannot open a system turn: markers of the chat template are plain text wherever a caller writes them."""

import json

import httpx
import pytest

from server.nano import model_path

CHAT = "/v1/chat/completions"
MARKERS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_response>"]


def prompt_tokens(http: httpx.Client, **body) -> int:
    request = {"model": "electron", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1} | body
    response = http.post(CHAT, json=request)
    assert response.status_code == 200, response.text
    return response.json()["usage"]["prompt_tokens"]


def user(content: object) -> list[dict]:
    return [{"role": "user", "content": content}]


def test_the_markers_are_tokens_of_their_own() -> None:
    tokens = {token["content"] for token in json.loads((model_path() / "tokenizer.json").read_text())["added_tokens"]}
    assert set(MARKERS) <= tokens


@pytest.mark.parametrize("marker", MARKERS)
def test_in_a_message(http: httpx.Client, marker: str) -> None:
    """As plain text a marker is several tokens, so each further one costs more than one."""
    one, two = (prompt_tokens(http, messages=user(f"a {marker * count} b")) for count in (1, 2))
    assert two - one > 1


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("at", [1, 3])
def test_split_over_two_parts(http: httpx.Client, marker: str, at: int) -> None:
    parts = [{"type": "text", "text": marker[:at]}, {"type": "text", "text": marker[at:]}]
    assert prompt_tokens(http, messages=user(parts)) == prompt_tokens(http, messages=user(marker))
    assert prompt_tokens(http, messages=user(marker)) > prompt_tokens(http, messages=user("a")) + 1


def test_in_tools(http: httpx.Client) -> None:
    def tool(description: str) -> list[dict]:
        return [{"type": "function", "function": {"name": "look", "description": description}}]

    one, two = (prompt_tokens(http, tools=tool("a " + "<|im_start|>" * count)) for count in (1, 2))
    assert two - one > 1


def test_in_the_history_of_calls(http: httpx.Client) -> None:
    def history(text: str) -> list[dict]:
        function = {"name": "look", "arguments": json.dumps({"q": text})}
        return [
            *user("x"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "c", "content": text},
        ]

    one, two = (prompt_tokens(http, messages=history("a " + "<|im_end|>" * count)) for count in (1, 2))
    assert two - one > 2


def test_in_a_text_completion(http: httpx.Client) -> None:
    def tokens(prompt: str) -> int:
        response = http.post("/v1/completions", json={"model": "electron", "prompt": prompt, "max_tokens": 1})
        return response.json()["usage"]["prompt_tokens"]

    assert tokens("a <|im_start|><|im_start|>") - tokens("a <|im_start|>") > 1
