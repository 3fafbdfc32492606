"""What every section is made of."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr


class SettingsError(Exception):
    """The configuration cannot be used; the message names every fault."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value  # a secret of digits, read as YAML


Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]  # one of them needs no list
Secret = Annotated[SecretStr, BeforeValidator(_text)]


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is near, else the empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean `{found[0]}`?" if found else ""
