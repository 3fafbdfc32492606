"""The configuration: frozen sections; file < environment < flag; unknown names refused.

    file          configs/nano.yaml            http: {port: 9000}
    environment   ELECTRON__HTTP__PORT=9000    values are read as YAML
    flag          --set http.port=9000         likewise

Two underscores keep the names apart from the `ELECTRON_PORT=tcp://…` that Kubernetes invents for a service called so.
This is the only module that reads the environment.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

ENVIRONMENT_PREFIX = "ELECTRON__"

# What vLLM reads from its environment and a server wants otherwise than a library does. What the operator set stays.
ENGINE_ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # the engine starts from a process that already has threads
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TOKENIZERS_PARALLELISM": "false",
}


class SettingsError(Exception):
    """The configuration cannot be used; the message names every fault."""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ModelSettings(Section):
    """Which model, and how it is addressed."""

    path: str | None = Field(None, description="Local folder or hub id; absent: the embedded model.")
    revision: str | None = Field(None, description="Hub revision.")
    served_names: Names = Field(("electron",), description="Names that clients may send; answers carry the first.")
    context_window: int = Field(32_768, ge=2, description="Tokens of prompt and output together.")
    overflow: Literal["refuse", "clamp"] = Field("refuse", description="When prompt + max_tokens exceed the window.")
    chat_template: Path | None = Field(None, description="A Jinja file in place of the model's own template.")
    template_kwargs: dict[str, Any] = Field(default_factory=dict, description="Passed to the chat template.")
    tool_format: str = Field("auto", description="How the model writes tool calls; auto: told by its chat template.")


class HttpSettings(Section):
    """The listener. Times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    keep_alive: int = Field(
        120, ge=1, description="How long an idle connection stays open: longer than a caller thinks."
    )
    ping_interval: float = Field(
        3.0, gt=0, description="Silence after which a stream gets its status line and a comment. Clients give up at 5."
    )
    max_body: int = Field(16 * 2**20, ge=1024)
    shutdown_timeout: int = Field(30, ge=0, description="How long running requests may take to finish at shutdown.")


class AdmissionSettings(Section):
    """Who gets in."""

    max_in_flight: int = Field(1024, ge=1, description="Requests at work or queued; one more is answered 503.")


class TelemetrySettings(Section):
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(Section):
    model: ModelSettings = ModelSettings()
    engine: dict[str, Any] = Field(default_factory=dict, description="vLLM's engine arguments, passed on untouched.")
    http: HttpSettings = HttpSettings()
    admission: AdmissionSettings = AdmissionSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None, assignments: Sequence[str] = ()
) -> Settings:
    """Merge the three sources, later ones over earlier ones.

    Raises:
        SettingsError: naming every key that is unknown or has a wrong value.
    """
    values = _read_file(file) if file else {}
    for path, value in _from_environment(os.environ if environment is None else environment):
        _assign(values, path, value)
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise SettingsError(f"`{assignment}` is not of the form name=value")
        _assign(values, name.strip().split("."), _yaml(text, name))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None


def prepare_engine_environment() -> None:
    """Give vLLM's environment variables a server's defaults, before vLLM is imported."""
    for name, value in ENGINE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is near, else the empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean `{found[0]}`?" if found else ""


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


def _from_environment(environment: Mapping[str, str]) -> list[tuple[list[str], Any]]:
    names = sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX))
    return [
        (name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), _yaml(environment[name], name)) for name in names
    ]


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
        return f"`{name}`: {fault['msg']}, got {fault['input']!r}"
    section = Settings.model_fields[path[0]].annotation if len(path) > 1 else Settings
    known = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else {}
    prefix = ".".join(path[:-1])
    return f"unknown setting `{name}`{nearest(name, (f'{prefix}.{key}'.lstrip('.') for key in known))}"
