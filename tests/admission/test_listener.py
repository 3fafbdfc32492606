"""Without keys nobody from elsewhere, unless it is written out; and salts."""

import re
from pathlib import Path

import pytest

from server.admission.listener import check_listener, describe_access, is_loopback
from server.admission.salts import account_salt, salt_secret
from server.settings import AdmissionSettings, Settings, SettingsError


def settings(host: str, **admission: object) -> Settings:
    return Settings.model_validate({"http": {"host": host}, "admission": admission})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_keys(host: str) -> None:
    assert is_loopback(host)
    check_listener(settings(host))
    assert "this machine alone" in describe_access(settings(host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.example.org"])
def test_elsewhere_needs_keys_or_the_written_word(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="keys_file"):
        check_listener(settings(host))
    check_listener(settings(host, keys_file="keys.yaml"))
    check_listener(settings(host, auth="none"))
    assert "WHOEVER" in describe_access(settings(host, auth="none"))
    assert "keys.yaml" in describe_access(settings(host, keys_file="keys.yaml"))


def test_keys_and_no_keys_at_once_are_refused() -> None:
    with pytest.raises(SettingsError, match="contradicts"):
        check_listener(settings("127.0.0.1", keys_file="keys.yaml", auth="none"))


def test_a_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="salt_secret") as raised:
        check_listener(settings("127.0.0.1", salt_secret="hunter2"))
    assert "hunter2" not in str(raised.value)


def test_a_key_file_is_read_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    check_listener(settings("0.0.0.0", keys_file=path))
    path.write_text("accounts: {acme: {plan: gold}}")
    with pytest.raises(SettingsError, match="there is no plan `gold`"):
        check_listener(settings("0.0.0.0", keys_file=path))
    check_listener(settings("0.0.0.0", keys_file=path, plans={"gold": {}}))


def test_secrets_do_not_show() -> None:
    shown = settings("127.0.0.1", salt_secret="hunter2" * 4, redis={"url": "redis://:hunter2@host"})
    assert "hunter2" not in shown.model_dump_json() and "hunter2" not in repr(shown)


def test_a_salt_is_what_vllm_takes() -> None:
    for account in ("a", "Z" * 64, "x.y-z_0"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", account_salt(b"s" * 32, account))


def test_salts_differ_by_account_and_by_secret_and_by_nothing_else() -> None:
    secret = salt_secret(AdmissionSettings.model_validate({"salt_secret": "correct horse battery"}))
    salts = {account_salt(key, account) for key in (secret, b"other" * 8) for account in ("a", "b", "ab")}
    assert len(salts) == 6
    assert account_salt(secret, "a") == account_salt(bytes(secret), "a")


def test_without_a_secret_every_start_has_its_own() -> None:
    assert salt_secret(AdmissionSettings()) != salt_secret(AdmissionSettings())
