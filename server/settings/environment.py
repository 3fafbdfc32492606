"""The environment: what operators say in it, and what vLLM reads from it. The only module that touches it."""

import os
from collections.abc import Mapping

PREFIX = "ELECTRON__"

# What vLLM reads from its environment and a server wants otherwise than a library does. What the operator set stays.
ENGINE_ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # the engine starts from a process that already has threads
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TOKENIZERS_PARALLELISM": "false",
}


def settings_in(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own variables, by name. environment: in place of the process's."""
    found = os.environ if environment is None else environment
    return {name: found[name] for name in sorted(found) if name.startswith(PREFIX)}


def traces_wanted() -> bool:
    """OpenTelemetry's own variables say where to send traces, and whether to send any."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in endpoints)


def prepare_engine_environment() -> None:
    """Give vLLM's environment variables a server's defaults, before vLLM is imported."""
    for name, value in ENGINE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
