"""Keys: what is stored, what fits, and that every wrong one costs the same."""

import hmac
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.admission import keys as module
from server.admission.callers import KeyRing, identify
from server.admission.gate import Gate
from server.admission.keyfile import parse_key_file
from server.admission.keys import LONGEST, KeyHash, key_id_of, new_key
from server.errors import Forbidden, Unauthenticated
from server.settings import AdmissionSettings


def test_a_key_carries_its_id_and_256_random_bits() -> None:
    key_id, key = new_key()
    prefix, shown, secret = key.split("_")
    assert (prefix, shown) == ("sk", key_id) == ("sk", key_id_of(key))
    assert len(bytes.fromhex(secret)) * 8 == 256
    assert new_key() != (key_id, key)


def test_a_hash_fits_its_key_alone_and_says_nothing_twice() -> None:
    key = new_key()[1]
    first, second = KeyHash.of(key), KeyHash.of(key)
    assert first.fits(key) and second.fits(key)
    assert str(first) != str(second)
    assert not first.fits(new_key()[1])
    assert KeyHash.parse(str(first)) == first
    assert key.split("_")[2] not in str(first)


@given(st.text())
def test_no_text_breaks_a_lookup(text: str) -> None:
    assert not KeyHash.of(new_key()[1]).fits(text)
    assert "_" not in key_id_of(text)


@pytest.mark.parametrize("text", ["", "sha256$00$00", "sha256$zz$zz", "md5$" + "00" * 16 + "$" + "00" * 32])
def test_a_hash_of_another_form_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        KeyHash.parse(text)
    assert not text or text not in str(raised.value)


@pytest.fixture
def ring(office: Any) -> KeyRing:
    office.create("gone")
    file = parse_key_file(office.path, office.path.read_bytes())
    gone = file.accounts["gone"]
    revoked = gone.model_copy(update={"keys": tuple(k.model_copy(update={"revoked": k.created}) for k in gone.keys)})
    plans = AdmissionSettings().plans
    return KeyRing(file.model_copy(update={"accounts": {**file.accounts, "gone": revoked}}), plans)


def wrong_keys(office: Any) -> dict[str, str]:
    right = office.keys["acme"]
    return {
        "one character off": right[:-1] + ("0" if right[-1] != "0" else "1"),
        "secret cut": right[:-1],
        "no secret": right.rsplit("_", 1)[0],
        "unknown id": new_key()[1],
        "revoked": office.keys["gone"],
        "another one's id": f"sk_{key_id_of(office.keys['gone'])}_{right.split('_')[2]}",
        "no key at all": "password",
        "prefix only": "sk_",
        "very long": right + "0" * 10_000,
        "not ascii": "sk_\xe9_\udc80",
    }


def test_the_right_key_is_found(office: Any, ring: KeyRing) -> None:
    caller = identify(ring, office.bearer("acme"))
    assert (caller.account, caller.plan, caller.key_id) == ("acme", "standard", key_id_of(office.keys["acme"]))
    assert caller.terms.requests_per_minute == 10
    assert identify(ring, f"bearer  {office.keys['acme']} ") == caller
    assert len(ring) == 1


def test_wrong_keys_of_every_kind_cost_the_same_and_are_told_the_same(
    office: Any, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Counter[str] = Counter()
    hash_it, compare_it = module.digest, hmac.compare_digest

    def digest(salt: bytes, key: str) -> bytes:
        work["hashes"] += 1
        return hash_it(salt, key)

    def compare(one: bytes, other: bytes) -> bool:
        work["comparisons"] += 1
        assert len(one) == len(other)
        return compare_it(one, other)

    monkeypatch.setattr(module, "digest", digest)
    monkeypatch.setattr("server.admission.keys.hmac.compare_digest", compare)
    told = set()
    for kind, key in {**wrong_keys(office), "right": office.keys["acme"]}.items():
        work.clear()
        found = ring.find(key)
        assert (found is not None) == (kind == "right"), kind
        assert work == {"hashes": 1, "comparisons": 1}, kind
        if found is None:
            with pytest.raises(Unauthenticated) as raised:
                identify(ring, f"Bearer {key}")
            told.add((raised.value.message, *raised.value.headers.items()))
    assert len(told) == 1


def test_nobody_hashes_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    real = module.hashlib.sha256
    monkeypatch.setattr(module.hashlib, "sha256", lambda data: hashed.append(len(data)) or real(data))
    module.digest(bytes(16), "x" * 100_000)
    assert hashed == [16 + LONGEST]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic c2s6", "sk_abc_def"])
def test_no_key_is_told_how_to_send_one(ring: KeyRing, header: str | None) -> None:
    with pytest.raises(Unauthenticated) as raised:
        identify(ring, header)
    assert "Authorization: Bearer" in raised.value.message
    assert raised.value.headers == {"WWW-Authenticate": "Bearer"}
    assert (raised.value.status, raised.value.type) == (401, "authentication_error")


def test_scopes(office: Any) -> None:
    office.create("boss", scopes=("admin",))
    gate = Gate(office.settings())
    boss, acme = gate.identify(office.bearer("boss")), gate.identify(office.bearer("acme"))
    boss.require("admin")
    acme.require("inference")
    for caller, scope in ((boss, "inference"), (acme, "admin")):
        with pytest.raises(Forbidden) as raised:
            caller.require(scope)
        assert (raised.value.status, raised.value.type) == (403, "permission_error")


@pytest.mark.parametrize(("auth", "scopes"), [("loopback", {"inference", "admin"}), ("none", {"inference"})])
def test_without_keys_everybody_is_local_and_a_stranger_no_operator(auth: str, scopes: set[str]) -> None:
    gate = Gate(AdmissionSettings.model_validate({"auth": auth}))
    caller = gate.identify(None)
    assert (caller.account, caller.key_id) == ("local", "")
    assert caller == gate.identify("Bearer whatever")
    assert caller.scopes == scopes
    assert gate.ticket(caller, model="m").cache_salt is None


def test_no_key_reaches_a_log(office: Any, ring: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    gate = Gate(office.settings())
    presented = [*wrong_keys(office).values(), office.keys["acme"]]
    for key in presented:
        try:
            gate.identify(f"Bearer {key}")
        except Unauthenticated as error:
            assert "sk_" not in error.message.replace("sk_…", "")
    secrets = {key for key in presented if len(key) > 10} | {office.keys["acme"].split("_")[2]}
    assert not [record for record in caplog.records for secret in secrets if secret in record.getMessage()]
