"""Keys against live servers: what the SDK makes of a refusal, what takes effect without a restart, what is logged."""

import base64
import urllib.parse
from typing import Any

import httpx
import openai
import pytest

from server.admission.commands import revoke_key
from server.admission.keys import key_id_of, new_key
from tests.accounts.callers import HELLO, ask, calling
from tests.accounts.fleet import Fleet, status, until

CHAT = {"model": "electron", "messages": HELLO, "max_tokens": 1}


async def refusal(fleet: Fleet, key: str) -> openai.APIStatusError:
    async with calling(fleet.a, key) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await ask(client)
    return refused.value


def envelope(error: openai.APIStatusError) -> dict[str, Any]:
    return error.response.json()["error"]


async def test_a_wrong_key(fleet: Fleet) -> None:
    error = await refusal(fleet, new_key()[1])
    assert isinstance(error, openai.AuthenticationError)
    assert envelope(error)["type"] == "authentication_error"
    assert error.response.headers["www-authenticate"] == "Bearer"


async def test_a_model_that_the_plan_lacks(fleet: Fleet) -> None:
    error = await refusal(fleet, fleet.account("poor", "elsewhere"))
    assert isinstance(error, openai.PermissionDeniedError)
    assert envelope(error)["type"] == "permission_error"
    assert "elsewhere" in envelope(error)["message"] and "electron" in envelope(error)["message"]


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
def test_what_needs_no_key(fleet: Fleet, path: str) -> None:
    assert httpx.get(f"{fleet.a.root}{path}").status_code == 200


@pytest.mark.parametrize("path", ["/models", "/models/electron"])
def test_the_list_of_models_needs_one(fleet: Fleet, path: str) -> None:
    assert httpx.get(f"{fleet.a.url}{path}").status_code == 401
    bearer = {"Authorization": f"Bearer {fleet.account('reader' + str(len(path)))}"}
    assert httpx.get(f"{fleet.a.url}{path}", headers=bearer).status_code == 200


async def test_a_revoked_key_stops_without_a_restart(fleet: Fleet) -> None:
    key, other = fleet.account("leaver"), fleet.account("stayer")
    revoke_key(fleet.office.path, key_id_of(key))
    for replica in fleet.both:
        until(lambda replica=replica: status(replica, key) == 401)
        assert status(replica, other) == 400
    # What a stranger learns of it is what he learns of a key that never was.
    unknown, revoked = await refusal(fleet, new_key()[1]), await refusal(fleet, key)
    assert unknown.response.status_code == revoked.response.status_code
    assert envelope(unknown)["message"] == envelope(revoked)["message"]


def test_a_broken_file_is_refused_and_the_last_good_one_kept(fleet: Fleet) -> None:
    key = fleet.account("steady")
    good = fleet.office.path.read_bytes()
    try:
        fleet.office.path.write_bytes(good + f"\n  {key}: [".encode())
        for replica in fleet.both:
            replica.wait_for("electron_keys_good", 0)
            assert status(replica, key) == 400
            assert "the key file is refused and the last good one kept" in replica.log.read_text()
    finally:
        fleet.office.path.write_bytes(good)
    for replica in fleet.both:
        replica.wait_for("electron_keys_good", 1)


def wrong_keys(right: str) -> list[str]:
    """Of every kind: unknown, revoked in form only, cut, too long, of other makes, and no key at all."""
    key_id, unknown = new_key()
    head, secret = right.rsplit("_", 1)
    return [
        unknown,
        f"{head}_{secret[::-1]}",
        right[:-1],
        right + "0",
        right.upper(),
        f"sk_{key_id}",
        "sk-proj-" + secret,
        "x" * 10_000 + secret,
        base64.b64encode(right.encode()).decode(),
        urllib.parse.quote(f"{right} and more"),
        secret,
    ]


def test_no_key_is_in_any_log(fleet: Fleet) -> None:
    """Right or wrong, whole or in part, sent where it belongs or where it does not. One server logs all that it can."""
    right = fleet.account("discreet")
    secret = right.rsplit("_", 1)[1]
    answered: dict[int, str] = {}  # by server, the request that it must have logged
    for replica in fleet.both:
        with httpx.Client(base_url=replica.url, timeout=60) as client:
            welcome = client.post("/chat/completions", json=CHAT, headers=bearer(right))
            assert welcome.status_code == 200
            answered[replica.port] = welcome.headers["x-request-id"]
            for key in wrong_keys(right):
                answer = client.post("/chat/completions", json=CHAT, headers=bearer(key))
                assert answer.status_code == 401
                assert key not in answer.text
            for key in (right, new_key()[1]):
                assert client.get("/models", params={"api_key": key}).status_code == 401
                assert client.get("/models", headers={"Authorization": f"Basic {key}"}).status_code == 401
                assert client.get("/models", headers={"X-Api-Key": key}).status_code == 401
                assert client.get(f"/models/{key}", headers=bearer(right)).status_code == 404
                misplaced = {**CHAT, "api_key": key, "model": key}
                assert client.post("/chat/completions", json=misplaced, headers=bearer(right)).status_code == 400
    for replica in fleet.both:
        log = replica.log.read_text()
        parts = (secret, secret[::-1], secret[:20], base64.b64encode(right.encode())[:20].decode())
        assert not [part for part in parts if part in log.lower() or part in log]
        assert answered[replica.port] in log


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
