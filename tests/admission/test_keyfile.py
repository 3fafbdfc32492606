"""The key file: what is refused, by name and without quoting it; how it is written."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.admission.commands import create_key, list_keys, revoke_key
from server.admission.gate import Gate
from server.admission.keyfile import KeyFileError, parse_key_file
from server.settings import AdmissionSettings, SettingsError

PLANS = AdmissionSettings().plans
HASH = "sha256$" + "00" * 16 + "$" + "00" * 32
KEY = {"id": "a1", "hash": HASH, "created": "2026-01-01T00:00:00Z"}
SECRET = "sk_a1_00112233445566778899"
EXAMPLE = Path(__file__).parents[2] / "configs" / "keys.example.yaml"


def parse(values: object) -> Any:
    return parse_key_file(Path("keys.yaml"), yaml.safe_dump(values).encode(), PLANS)


def one(**changes: object) -> dict[str, object]:
    return {"accounts": {"acme": {"plan": "standard", "keys": [{**KEY, **changes}]}}}


def test_what_is_said_is_read() -> None:
    (account,) = parse(one()).accounts.values()
    (key,) = account.keys
    assert (key.id, key.scopes, key.revoked, str(key.hash)) == ("a1", ("inference",), None, HASH)


def test_the_example_is_a_key_file() -> None:
    assert parse_key_file(EXAMPLE, EXAMPLE.read_bytes(), PLANS).accounts


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "keys.yaml"),
        ([], "keys.yaml"),
        ({}, "accounts"),
        (one(hash=SECRET), "accounts.acme.keys.0.hash"),
        (one(hash=7), "accounts.acme.keys.0.hash"),
        (one(id="a_b"), "accounts.acme.keys.0.id"),
        (one(created="yesterday"), "accounts.acme.keys.0.created"),
        (one(scopes=["root"]), "accounts.acme.keys.0.scopes.0"),
        (one(revokd="2026-01-01T00:00:00Z"), "accounts.acme.keys.0.revokd"),
        (one(**{SECRET: 1}), "accounts.acme.keys.0.sk_…"),
        ({"accounts": {"acme": {"plan": "standart"}}}, "there is no plan `standart`; did you mean `standard`?"),
        ({"accounts": {"a b": {"plan": "standard"}}}, "accounts.a b"),
        ({"accounts": {"a": {"plan": "standard", "keys": [KEY, KEY]}}}, "the key id a1 occurs 2 times"),
    ],
)
def test_faults_are_named_and_no_key_repeated(content: object, named: str) -> None:
    with pytest.raises(KeyFileError) as raised:
        parse(content)
    assert named in str(raised.value)
    assert SECRET not in str(raised.value) and HASH not in str(raised.value)


def test_broken_yaml_is_located_and_not_quoted() -> None:
    with pytest.raises(KeyFileError, match="line 3") as raised:
        parse_key_file(Path("keys.yaml"), f"accounts:\n  a: b\n {SECRET}: [\n".encode(), PLANS)
    assert SECRET not in str(raised.value)


def test_a_server_does_not_start_on_a_file_it_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    with pytest.raises(SettingsError, match=r"keys\.yaml"):
        Gate(AdmissionSettings(keys_file=path))
    path.write_text("accounts: 7")
    with pytest.raises(SettingsError, match="accounts"):
        Gate(AdmissionSettings(keys_file=path))


def test_create_list_revoke(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    key, notice = create_key(path, account="acme", plan="standard", plans=PLANS)
    other, _ = create_key(path, account="acme", plan="standard", plans=PLANS, scopes=("inference", "admin"))
    key_id = key.split("_")[1]
    assert key_id in notice and "only now" in notice
    assert key.split("_")[2] not in path.read_text() and other.split("_")[2] not in path.read_text()
    header, first, second = list_keys(path)
    assert header.split() == ["id", "account", "plan", "scopes", "created", "revoked"]
    assert first.split()[:4] == [key_id, "acme", "standard", "inference"] and first.split()[5] == "-"
    assert second.split()[3] == "inference,admin"
    assert list_keys(path, account="nobody")[1:] == []

    settings = AdmissionSettings(keys_file=path)
    assert Gate(settings).identify(f"Bearer {key}").key_id == key_id
    assert "is revoked" in revoke_key(path, key_id)[0]
    assert "was revoked at" in revoke_key(path, key_id)[0]
    assert Gate(settings).identify(f"Bearer {other}").scopes == {"inference", "admin"}
    assert list_keys(path)[1].split()[5] != "-"


def test_the_file_is_its_owners_and_replaced_in_one_step(office: Any) -> None:
    inode = office.path.stat().st_ino
    office.path.chmod(0o644)
    office.create("other")
    assert stat.S_IMODE(office.path.stat().st_mode) == 0o600
    assert office.path.stat().st_ino != inode
    assert [entry.name for entry in office.path.parent.iterdir()] == [office.path.name]


@pytest.mark.parametrize(
    ("account", "plan", "named"),
    [
        ("acme", "enterprise", "has the plan `standard`"),
        ("new", "gold", "no plan `gold`"),
        ("a/b", "standard", "accounts.a/b"),
    ],
)
def test_what_no_server_would_take_is_not_written(office: Any, account: str, plan: str, named: str) -> None:
    before = office.path.read_bytes()
    with pytest.raises(KeyFileError) as raised:
        create_key(office.path, account=account, plan=plan, plans=PLANS)
    assert named in str(raised.value)
    assert office.path.read_bytes() == before


def test_a_link_keeps_pointing(office: Any, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(office.path)
    create_key(link, account="more", plan="standard", plans=PLANS)
    assert link.is_symlink() and len(list_keys(office.path)) == 3


def test_a_key_that_is_not_there_cannot_be_revoked(office: Any) -> None:
    with pytest.raises(KeyFileError, match="no key with the id ffff"):
        revoke_key(office.path, "ffff")


def test_a_plan_that_is_not_configured_here_does_not_stand_in_the_way_of_a_revocation(office: Any) -> None:
    office.path.write_text(office.path.read_text().replace("standard", "elsewhere"))
    assert "is revoked" in revoke_key(office.path, office.keys["acme"].split("_")[1])[0]
