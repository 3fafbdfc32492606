"""The configuration: frozen sections; file < environment < flag; unknown names refused.

    file          configs/nano.yaml            http: {port: 9000}
    environment   ELECTRON__HTTP__PORT=9000    values are read as YAML
    flag          --set http.port=9000         likewise

Two underscores keep the names apart from the `ELECTRON_PORT=tcp://…` that Kubernetes invents for a service called so.
This is the only module that reads the environment.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

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


def _traces_wanted() -> bool:
    """OpenTelemetry's own variables say where to send traces, and whether to send any."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in endpoints)


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


class SpeechSettings(Section):
    """What may stand in `content`, beside what marks a call or a thought of the model's own family, which never may."""

    guard: Literal["voice", "always", "off"] = Field(
        "voice",
        description="Where JSON, tags (SSML too) and special tokens of any kind are left out: in turns that offer "
        "tools or have a system message for a voice agent, in all turns or in none. An answer whose `response_format` "
        "asks for JSON is never touched.",
    )
    strip_markdown: bool = Field(False, description="There leave out the signs of Markdown as well.")


def _patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"`{value}` is not a regular expression: {error}") from None
    return values


Patterns = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_patterns)]


class FillerSettings(Section):
    """Words before a tool call. A request may choose `mode` and `strategy` for itself."""

    mode: Literal["auto", "always", "off"] = Field(
        "auto", description="auto: where a system message asks for words before a call, or declares a voice agent."
    )
    strategy: Literal["grammar", "phrase"] = Field(
        "grammar", description="The model's own sentence, or one of the server's at the cost of no token."
    )
    min_words: int = Field(3, ge=1, le=6, description="Of the model's sentence.")
    max_words: int = Field(15, le=40, description="At least 5 more than min_words.")
    max_characters: int = Field(
        100, le=400, description="The stop included; at least 30, and 10 for each of min_words."
    )
    asks: Patterns = Field((), description="Regular expressions for system messages that ask for words, for `auto`...")
    forbids: Patterns = Field((), description="...and for those that forbid them: these come first.")
    shipped_wordings: bool = Field(True, description="The server's own list counts where none of these is found.")

    @model_validator(mode="after")
    def _have_room(self) -> Self:
        if self.max_words < self.min_words + 5 or self.max_characters < 30 + 10 * self.min_words:
            raise ValueError("max_words or max_characters leave no room beside min_words")
        return self


class HttpSettings(Section):
    """The listener. Times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    keep_alive: int = Field(
        180, ge=1, description="How long an idle connection stays open: longer than any client holds it."
    )
    ping_interval: float = Field(
        3.0, gt=0, description="Silence after which a stream gets its status line and a comment. Clients give up at 5."
    )
    max_body: int = Field(8 * 2**20, ge=1024)
    max_head: int = Field(32 * 2**10, ge=1024, description="Of request line and headers together.")
    read_timeout: float = Field(20.0, gt=0, description="Until a head, and then a body, must have come in whole.")
    write_timeout: float = Field(
        20.0, gt=0, description="How long a client may leave a full send buffer unread before it is cut off."
    )
    first_token_timeout: float = Field(
        120.0, gt=0, description="Until the first token; X-First-Token-Timeout may ask for less."
    )
    request_timeout: float = Field(
        1800.0, gt=0, description="Until the end of an answer; X-Request-Timeout may ask for less."
    )


class LifecycleSettings(Section):
    """Watching the engine, and the end. Times in seconds."""

    stall_window: float = Field(
        120.0, gt=0, description="Without a step of the engine while it has work: then it counts as dead."
    )
    restarts: int = Field(
        0, ge=0, description="How often a dead engine is replaced in place; after that the process ends with status 1."
    )
    drain_pause: float = Field(
        2.0, ge=0, description="After SIGTERM: how long to keep answering 503, until gateways have seen it."
    )
    drain_timeout: float = Field(30.0, ge=0, description="After SIGTERM: until running requests must have ended.")


ServiceClass = Literal["live", "speculative", "background"]


class PriceSettings(Section):
    """What a million tokens cost, in the operator's currency."""

    input: float = Field(0.40, ge=0)
    cached: float = Field(0.10, ge=0, description="Prompt tokens found in the prefix cache.")
    output: float = Field(1.60, ge=0)


class PlanSettings(Section):
    """What an account may do. Counts are per account and minute, over a sliding window; absent: no limit."""

    requests_per_minute: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1, description="Requests at work at once.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Prompt and output tokens together.")
    refunds_per_minute: int | None = Field(
        None, ge=0, description="Cancelled requests that do not count; absent: four times requests_per_minute."
    )
    models: Annotated[tuple[str, ...], BeforeValidator(_listed)] | None = Field(
        None, description="Served names; absent: all of them; empty: none."
    )
    service_class: ServiceClass = Field("live", description="The best that its requests get; they may ask for less.")
    prices: PriceSettings = PriceSettings()

    @property
    def refund_cap(self) -> int:
        """Four: a voice client that starts an answer early sends up to four requests a turn and cancels three."""
        return 4 * (self.requests_per_minute or 0) if self.refunds_per_minute is None else self.refunds_per_minute


SHIPPED_PLANS: Mapping[str, Mapping[str, Any]] = {
    "standard": {"requests_per_minute": 10, "concurrency": 3},
    "enterprise": {"requests_per_minute": 200, "concurrency": 20},
}


def _with_shipped_plans(plans: Any) -> Any:
    """What is said of a shipped plan changes it; what is not said of it stays."""
    if not isinstance(plans, Mapping):
        return plans
    shipped = {name: SHIPPED_PLANS.get(name, {}) for name in (*SHIPPED_PLANS, *plans)}
    given = {name: plans.get(name, {}) for name in shipped}
    return {name: {**shipped[name], **plan} if isinstance(plan, Mapping) else plan for name, plan in given.items()}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value  # a secret of digits, read as YAML


Secret = Annotated[SecretStr, BeforeValidator(_text)]
Plans = Annotated[dict[str, PlanSettings], BeforeValidator(_with_shipped_plans), Field(validate_default=True)]
Share = Annotated[float, Field(gt=0, le=1)]


class RedisSettings(Section):
    """Limits shared by several replicas. Times in seconds."""

    url: Secret | None = Field(None, description="redis:// or rediss://; absent: each process has its own limits.")
    prefix: str = Field("electron", description="Of every key; replicas with the same one share their limits.")
    connections: int = Field(32, ge=1)
    timeout: float = Field(0.05, gt=0, le=1, description="Of one answer; longer counts as a failure.")
    lease: float = Field(15.0, gt=0, description="How long a killed replica's requests still count as running.")
    on_failure: Literal["open", "closed"] = Field(
        "open", description="While Redis is away: limits of this process alone, or 503."
    )
    failures: int = Field(3, ge=1, description="In a row, after which Redis is left alone...")
    pause: float = Field(1.0, gt=0, description="...and tried again this often, by nobody's request.")


class AdmissionSettings(Section):
    """Who gets in. Times in seconds."""

    auth: Literal["loopback", "none"] = Field(
        "loopback", description="Without a key file: serve this machine alone, or whoever can reach the port."
    )
    keys_file: Path | None = Field(None, description="Accounts and their keys; see configs/keys.example.yaml.")
    keys_poll: float = Field(1.0, gt=0, description="How often that file is looked at.")
    plans: Plans = Field(default_factory=dict, description="Beside, or over, `standard` and `enterprise`.")
    max_in_flight: int = Field(1024, ge=1, description="Requests at work or queued; one more is answered 503.")
    max_queued_tokens: int = Field(2**20, ge=1, description="Prompt tokens that wait for their first token, likewise.")
    speculative_share: Share = Field(0.85, description="Of both, from which on speculative requests are refused.")
    background_share: Share = Field(0.6, description="Of both, from which on background requests are refused.")
    grace: float = Field(0.15, ge=0, le=5, description="How long to wait for a place that may be about to come free.")
    salt_secret: Secret | None = Field(
        None, description="Keeps accounts apart in the prefix cache. Absent: a random one for each start and replica."
    )
    shared_prompts: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="System messages whose beginning all accounts share in the prefix cache; none of them secret."
    )
    redis: RedisSettings = RedisSettings()


class LedgerSettings(Section):
    """Where usage is kept: one row for every admitted request."""

    enabled: bool = True
    url: Secret | None = Field(
        None, description="postgresql://… or sqlite:///…; absent: usage.db (SQLite) in `directory`."
    )
    directory: Path = Field(Path("var"), description="Holds usage.db, and the journal for when the database is away.")
    max_loss: float = Field(1.0, gt=0, le=60, description="Seconds of records that a crash may cost.")
    max_pending: int = Field(20_000, ge=1, description="Records held in memory when neither database nor disk work.")


class MetricsSettings(Section):
    plan_label: bool = Field(True, description="Series by plan.")
    account_label: bool = Field(False, description="Request and token counters by account as well.")
    max_accounts: int = Field(100, ge=1, description="Accounts with series of their own; the rest is `other`.")
    page_age: float = Field(0.1, ge=0, description="Seconds for which a rendered page is served again.")


class TelemetrySettings(Section):
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["plain", "json"] = "plain"
    clause_length: int = Field(
        20, ge=1, description="Characters after which a comma, too, ends a clause that can be spoken."
    )
    ledger: LedgerSettings = LedgerSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: bool = Field(
        default_factory=_traces_wanted,
        description="OpenTelemetry traces; absent: on where OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT is set.",
    )


class KernelSettings(Section):
    """Kernels of our own, in place of vLLM's."""

    shared_prefix_gate: Path | None = Field(
        None,
        description="Where decode attention reads a shared prompt once: the table that `python -m benchmarks.kernels "
        "gate` measures on this kind of GPU. Absent: never.",
    )


class Settings(Section):
    model: ModelSettings = ModelSettings()
    engine: dict[str, Any] = Field(default_factory=dict, description="vLLM's engine arguments, passed on untouched.")
    kernels: KernelSettings = KernelSettings()
    speech: SpeechSettings = SpeechSettings()
    filler: FillerSettings = FillerSettings()
    http: HttpSettings = HttpSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
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
