"""File, environment and flags to settings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from server.settings.base import SettingsError, nearest
from server.settings.environment import PREFIX, settings_in
from server.settings.root import Settings

PASSWORD = re.compile(r"://[^/@\s]*@")  # in a URL


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None, assignments: Sequence[str] = ()
) -> Settings:
    """Merge the three sources, later ones over earlier ones. environment: in place of the process's own.

    Raises:
        SettingsError: naming every key that is unknown or has a wrong value.
    """
    values = _read_file(file) if file else {}
    for name, text in settings_in(environment).items():
        _assign(values, name.removeprefix(PREFIX).lower().split("__"), _yaml(text, name))
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise SettingsError(f"`{assignment}` is not of the form name=value")
        _assign(values, name.strip().split("."), _yaml(text, name))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    values = _yaml(text, str(file))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: expected sections, got {type(values).__name__}")
    return values


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{where}: {error}") from None


def _assign(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for depth, key in enumerate(path[:-1]):
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"`{'.'.join(path[: depth + 1])}` is a value, not a section")
        values = inner
    values[path[-1]] = value


def _explain(fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    name = ".".join(path)
    if fault["type"] != "extra_forbidden":
        return f"`{name}`: {fault['msg']}, got {PASSWORD.sub('://…@', repr(fault['input']))}"
    known = _section(path[:-1]).model_fields
    prefix = ".".join(path[:-1])
    return f"unknown setting `{name}`{nearest(name, (f'{prefix}.{key}'.lstrip('.') for key in known))}"


def _section(path: Sequence[str]) -> type[BaseModel]:
    """The section at a path; for a mapping of sections, such as plans, any name leads into one."""
    section: type[BaseModel] = Settings
    steps = iter(path)
    for step in steps:
        annotation = section.model_fields[step].annotation
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
            next(steps, None)
        assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
        section = annotation
    return section
