"""The key file: accounts, their plans and the hashes of their keys, in YAML.

accounts:
  acme:
    plan: standard
    keys:
      - id: 5f0c1b2a3d4e
        hash: sha256$…$…
        created: 2026-01-31T12:00:00Z
        scopes: [inference]              # the default; `admin`: the operator's own routes
        revoked: 2026-02-01T08:00:00Z    # absent: valid
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from server.admission.keys import KeyHash
from server.settings import SettingsError, nearest

Scope = Literal["inference", "admin"]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KeyFileError(SettingsError):
    """The key file cannot be used. The message names the fault and repeats no key."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path}: " + re.sub(r"sk_\w+", "sk_…", fault))


def _parsed_hash(value: Any) -> Any:
    if isinstance(value, KeyHash):
        return value
    return KeyHash.parse(value if isinstance(value, str) else "")


StoredHash = Annotated[KeyHash, BeforeValidator(_parsed_hash), PlainSerializer(str)]
# Names and ids become keys in Redis, labels of metrics and columns of a ledger.
AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Key(_Part):
    id: KeyId
    hash: StoredHash
    created: AwareDatetime
    scopes: tuple[Scope, ...] = ("inference",)
    revoked: AwareDatetime | None = None


class Account(_Part):
    plan: str
    keys: tuple[Key, ...] = ()


class KeyFile(_Part):
    accounts: dict[AccountName, Account]

    def each_key(self) -> Iterator[tuple[str, Account, Key]]:
        for name, account in self.accounts.items():
            for key in account.keys:
                yield name, account, key


def read_key_file(path: Path) -> bytes:
    """
    Raises:
        KeyFileError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(path, "there is no such file; `electron-server keys create` makes one") from None
    except OSError as error:
        raise KeyFileError(path, str(error.strerror)) from None


def parse_key_file(path: Path, content: bytes, plans: Collection[str] | None = None) -> KeyFile:
    """`plans`: the names there are; None: any will do.

    Raises:
        KeyFileError: naming every fault.
    """
    try:
        values = yaml.load(content, _Loader)
    except yaml.YAMLError as error:  # its own words would quote the file
        mark = getattr(error, "problem_mark", None)
        raise KeyFileError(path, "not YAML" + (f", line {mark.line + 1}" if mark else "")) from None
    return check_key_file(path, values, plans)


def check_key_file(path: Path, values: object, plans: Collection[str] | None = None) -> KeyFile:
    """
    Raises:
        KeyFileError: naming every fault.
    """
    try:
        file = KeyFile.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        raise KeyFileError(path, "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)) from None
    if found := [*_unknown_plans(file, plans), *_repeated_ids(file)]:
        raise KeyFileError(path, "; ".join(found))
    return file


def write_key_file(path: Path, file: KeyFile) -> None:
    """Replace the file in one step, readable by its owner alone; comments in it are lost.

    Raises:
        KeyFileError: it cannot be written; the old file stands.
    """
    text = yaml.safe_dump(file.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    try:
        _replace(path.resolve(), text.encode())
    except OSError as error:
        raise KeyFileError(path, str(error.strerror)) from None


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if path.exists():  # an edit by the administrator must not lock the server out
                os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _unknown_plans(file: KeyFile, plans: Collection[str] | None) -> Iterator[str]:
    for name, account in file.accounts.items():
        if plans is not None and account.plan not in plans:
            yield f"accounts.{name}.plan: there is no plan `{account.plan}`{nearest(account.plan, plans)}"


def _repeated_ids(file: KeyFile) -> Iterator[str]:
    for key_id, count in Counter(key.id for _, _, key in file.each_key()).items():
        if count > 1:
            yield f"the key id {key_id} occurs {count} times"
