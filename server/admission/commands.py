"""What `electron-server keys` does: each command takes the key file and returns the lines to print."""

import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from server.admission.keyfile import (
    Account,
    Key,
    KeyFile,
    KeyFileError,
    Scope,
    check_key_file,
    parse_key_file,
    read_key_file,
    write_key_file,
)
from server.admission.keys import KeyHash, new_key


def create_key(
    path: Path,
    *,
    account: str,
    plan: str,
    plans: Collection[str],
    scopes: Sequence[Scope] = ("inference",),
    now: datetime | None = None,
) -> list[str]:
    """Make a key; the account and the file too, where they do not exist. The key is shown here and never again.

    Raises:
        KeyFileError: the file is not usable, there is no such plan, or the account has another one.
    """
    with _locked(path):
        file = _read(path) if path.exists() else KeyFile(accounts={})
        known = file.accounts.get(account, Account(plan=plan))
        if known.plan != plan:
            raise KeyFileError(path, f"the account `{account}` has the plan `{known.plan}`, not `{plan}`")
        key_id, text = new_key()
        key = Key(id=key_id, hash=KeyHash.of(text), created=_moment(now), scopes=tuple(scopes))
        _write(path, file, account, Account(plan=plan, keys=(*known.keys, key)), plans)
    return [text, f"The key {key_id} of account {account}, plan {plan}. It is shown only now: keep it safe."]


def list_keys(path: Path, *, account: str | None = None) -> list[str]:
    """A table of all keys, the revoked ones included.

    Raises:
        KeyFileError: the file is not usable.
    """
    header = ("id", "account", "plan", "scopes", "created", "revoked")
    rows = [
        (key.id, name, owner.plan, ",".join(key.scopes), _shown(key.created), _shown(key.revoked))
        for name, owner, key in _read(path).each_key()
        if account in (None, name)
    ]
    return _table([header, *rows])


def revoke_key(path: Path, key_id: str, *, now: datetime | None = None) -> list[str]:
    """Make a key invalid; running servers notice within `admission.keys_poll` seconds. The record stays.

    Raises:
        KeyFileError: the file is not usable, or there is no such key.
    """
    with _locked(path):
        file = _read(path)
        found = [(name, owner, key) for name, owner, key in file.each_key() if key.id == key_id]
        if not found:
            raise KeyFileError(path, f"there is no key with the id {key_id}")
        ((name, owner, key),) = found
        if key.revoked:
            return [f"The key {key_id} of account {name} was revoked at {_shown(key.revoked)}."]
        revoked = key.model_copy(update={"revoked": _moment(now)})
        keys = tuple(revoked if other is key else other for other in owner.keys)
        _write(path, file, name, Account(plan=owner.plan, keys=keys))
    return [f"The key {key_id} of account {name} is revoked."]


def _read(path: Path) -> KeyFile:
    return parse_key_file(path, read_key_file(path))


def _write(path: Path, file: KeyFile, name: str, account: Account, plans: Collection[str] | None = None) -> None:
    """With one account new or changed, if a server would take that."""
    write_key_file(path, check_key_file(path, {"accounts": {**file.accounts, name: account}}, plans))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time. The folder is locked, since the file itself is replaced."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise KeyFileError(path, str(error.strerror)) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _moment(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)).replace(microsecond=0)


def _shown(moment: datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
