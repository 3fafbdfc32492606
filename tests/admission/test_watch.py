"""A running server and a key file that changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.admission.callers import identify
from server.admission.commands import revoke_key
from server.admission.gate import Gate
from server.admission.watch import WatchedKeys
from server.errors import Unauthenticated
from server.settings import AdmissionSettings

PLANS = AdmissionSettings().plans


def known(keys: WatchedKeys, bearer: str) -> bool:
    try:
        identify(keys.ring, bearer)
    except Unauthenticated:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_a_revoked_key_stops_and_a_new_one_begins(office: Any) -> None:
    keys = WatchedKeys(office.path, PLANS)
    revoke_key(office.path, office.keys["acme"].split("_")[1])
    office.create("new")
    assert known(keys, office.bearer("acme")) and not known(keys, office.bearer("new"))
    keys.look()
    assert not known(keys, office.bearer("acme")) and known(keys, office.bearer("new"))


@pytest.mark.parametrize("content", ["", "accounts: [", "accounts: 7", "sk_a1_0011223344: [", None])
def test_a_broken_file_is_refused_loudly_once_and_the_last_good_one_kept(
    office: Any, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    keys, good = WatchedKeys(office.path, PLANS), office.path.read_bytes()
    office.path.unlink()
    if content is not None:
        office.path.write_text(content)
    for _ in range(3):
        keys.look()
    (refused,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(office.path) in refused.getMessage() and "0011223344" not in refused.getMessage()
    assert keys.fault is not None
    assert known(keys, office.bearer("acme"))

    office.path.write_bytes(good)
    keys.look()
    assert keys.fault is None
    assert known(keys, office.bearer("acme"))


def test_an_unchanged_file_is_not_read_anew(office: Any) -> None:
    keys = WatchedKeys(office.path, PLANS)
    ring = keys.ring
    keys.look()
    assert keys.ring is ring


def test_a_mounted_secret_is_swapped_by_its_link(office: Any, tmp_path: Path) -> None:
    """As Kubernetes does it: keys.yaml -> ..data/keys.yaml, and ..data moves to another folder."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys.yaml").write_bytes(office.path.read_bytes())
        office.create(f"in{version}")
    mount, data = tmp_path / "mount.yaml", tmp_path / "..data"
    data.symlink_to("1")
    mount.symlink_to(data / "keys.yaml")
    keys = WatchedKeys(mount, PLANS)
    assert not known(keys, office.bearer("in1"))
    fresh = tmp_path / "..fresh"
    fresh.symlink_to("2")
    fresh.rename(data)
    keys.look()
    assert known(keys, office.bearer("in1"))


async def test_a_running_gate_looks_by_itself(office: Any) -> None:
    gate = Gate(office.settings())
    gate.start()
    office.path.write_text("accounts: [")
    await until(lambda: not gate.keys_good)
    assert gate.identify(office.bearer("acme")).account == "acme"
    office.path.unlink()
    office.create("new")

    def taken() -> bool:
        try:
            return gate.identify(office.bearer("new")).account == "new"
        except Unauthenticated:
            return False

    await until(taken)
    assert gate.keys_good
    await gate.close()


async def test_a_bug_in_reading_does_not_end_the_watch(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, looks = WatchedKeys(office.path, PLANS), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        raise RecursionError("sk_a1_0011")

    monkeypatch.setattr(keys, "look", look)
    watching = asyncio.create_task(keys.watch(0.001))
    await until(lambda: looks > 2)
    watching.cancel()
    assert keys.fault is not None and "RecursionError" in keys.fault and "sk_" not in keys.fault
