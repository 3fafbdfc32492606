"""The warm endpoint: what it makes ready is what the next turn finds."""

import uuid

import httpx

WARM = "/v1/chat/completions/warm"
CHAT = "/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": f"look_{uuid.uuid4().hex}", "parameters": {"type": "object"}}}]
BLOCK = 16  # tokens


def request(**fields: object) -> dict[str, object]:
    system = {"role": "system", "content": f"Call {uuid.uuid4()}. " + "You are a friendly phone agent. " * 8}
    return {"model": "electron", "messages": [system], **fields}


def warmed(http: httpx.Client, body: dict[str, object]) -> dict[str, object]:
    response = http.post(WARM, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_next_turn_finds_its_prefix(http: httpx.Client) -> None:
    body = request(tools=TOOLS)
    first = warmed(http, body)
    assert first["object"] == "chat.completion.warm" and first["model"] == "electron" and first["duration"] >= 0
    user = {"role": "user", "content": "Hello?"}
    turn = http.post(CHAT, json={**body, "messages": [*body["messages"], user], "max_tokens": 1}).json()
    cached = turn["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached == first["prompt_tokens"] // BLOCK * BLOCK
    assert turn["usage"]["prompt_tokens"] > first["prompt_tokens"]


def test_what_was_warm_is_said_to_be(http: httpx.Client) -> None:
    body = request(tools=TOOLS, tool_choice="required")
    first, again = warmed(http, body), warmed(http, body)
    assert first["cached_tokens"] < BLOCK * 8 < again["cached_tokens"]
    assert (first["grammar"], again["grammar"]) == ("compiled", "cached")
    assert warmed(http, request())["grammar"] == "none"


def test_every_prefix_of_the_routes_has_it(http: httpx.Client) -> None:
    assert http.post("/waves" + WARM, json=request()).status_code == 200


def test_faults_are_those_of_a_completion(http: httpx.Client) -> None:
    for body in (request(tools=TOOLS, tool_choice="sometimes"), request(model="other"), {"messages": []}):
        answers = [http.post(path, json=body) for path in (WARM, CHAT)]
        assert [answer.status_code for answer in answers] == [400, 400]
        details = [answer.json()["error"]["details"] for answer in answers]
        assert details[0] == details[1]
