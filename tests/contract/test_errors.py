"""Every error of every route comes in the envelope, under the request's id."""

import uuid

import httpx
import pytest

CHAT = "/v1/chat/completions"
BODY = {"model": "electron", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}


def check_envelope(response: httpx.Response, status: int, type_: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert response.json().keys() == {"error"}
    assert error.keys() <= {"message", "type", "details", "request_id"}
    assert error["type"] == type_
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    for detail in error.get("details", []):
        assert {"code", "message", "path"} <= detail.keys()
        assert all(isinstance(part, str) for part in detail["path"])
    return error


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/chat", "/v1/chat/completions/", "/waves/v1/embeddings", "/v2/models"]
)
def test_unknown_routes(http: httpx.Client, path: str) -> None:
    check_envelope(http.post(path, json={}), 404, "invalid_request_error")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CHAT), ("DELETE", "/v1/models"), ("PUT", "/v1/completions"), ("POST", "/readyz")]
)
def test_wrong_methods(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, path)
    check_envelope(response, 405, "invalid_request_error")
    assert response.headers["allow"]


def test_unknown_model_by_id(http: httpx.Client) -> None:
    check_envelope(http.get("/v1/models/gpt-4o"), 404, "invalid_request_error")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_media_types(http: httpx.Client, media_type: str) -> None:
    response = http.post(CHAT, content=b"{}", headers={"Content-Type": media_type})
    check_envelope(response, 415, "invalid_request_error")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_its_names(http: httpx.Client, media_type: str) -> None:
    response = http.post(
        CHAT, content=httpx.Request("POST", "/", json=BODY).content, headers={"Content-Type": media_type}
    )
    assert response.status_code == 200


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
def test_bodies_over_the_limit(http: httpx.Client, declared: bool) -> None:
    chunk, count = b" " * 2**20, 9
    content = chunk * count if declared else (chunk for _ in range(count))
    response = http.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    check_envelope(response, 413, "invalid_request_error")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b"[" * 5000,
    ],
    ids=repr,
)
def test_bodies_that_are_no_json_object(http: httpx.Client, content: bytes) -> None:
    response = http.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    assert check_envelope(response, 400, "invalid_request_error")["details"]


def test_missing_members_are_named(http: httpx.Client) -> None:
    error = check_envelope(http.post(CHAT, json={}), 400, "invalid_request_error")
    assert {tuple(detail["path"]) for detail in error["details"]} == {("model",), ("messages",)}


def test_the_documented_example(http: httpx.Client) -> None:
    error = check_envelope(http.post(CHAT, json=BODY | {"n": 2}), 400, "invalid_request_error")
    assert error["details"] == [{"code": "custom", "message": "n > 1 is not supported", "path": ["n"]}]
    assert error["message"].startswith("Invalid input data")


@pytest.mark.parametrize("stream", [False, True])
def test_errors_behind_the_protocol_keep_their_status_in_a_stream(http: httpx.Client, stream: bool) -> None:
    body = BODY | {"max_tokens": 32_768, "stream": stream}
    error = check_envelope(http.post(CHAT, json=body), 400, "invalid_request_error")
    assert error["details"][0]["code"] == "context_length_exceeded"


def test_every_answer_has_its_own_request_id(http: httpx.Client) -> None:
    responses = [http.post(CHAT, json=BODY), http.get("/v1/models"), http.get("/livez"), http.get("/nowhere")]
    ids = {uuid.UUID(response.headers["x-request-id"]) for response in responses}
    assert len(ids) == len(responses)
    assert {request_id.version for request_id in ids} == {4}
