"""Decode attention that reads a shared prompt once: turned on, and its figures shown."""

import atexit
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.v1.attention.backends.registry import AttentionBackendEnum

from kernels.shared_prefix_attention import CONFIG
from kernels.shared_prefix_attention.counters import Counters
from kernels.shared_prefix_attention.gate import read_gate
from server.settings import SettingsError

SERIES = {
    "decode_steps": "Steps of decode alone.",
    "shared_steps": "Of these, steps that read a shared prompt once.",
    "shared_requests": "Requests that had a part in it, summed over steps.",
    "bytes_saved": "Bytes of keys and values that these steps did not read again, on the first GPU.",
}


def read_shared_prompts_once(args: AsyncEngineArgs, gate: Path) -> AsyncEngineArgs:
    """The engine's arguments with our attention backend, which shares where `gate` says that it pays.

    Raises:
        SettingsError: it cannot be turned on, and why.
    """
    if not current_platform.is_cuda():
        raise SettingsError("`kernels.shared_prefix_gate` needs an NVIDIA GPU")
    if args.attention_backend is not None or args.attention_config.backend is not None:
        raise SettingsError("`kernels.shared_prefix_gate` and an attention backend under `engine` exclude one another")
    try:
        table = read_gate(gate)
    except ValueError as error:
        raise SettingsError(f"`kernels.shared_prefix_gate`: {error}") from error
    config = {**args.additional_config, CONFIG: {"gate": table, "counters": str(counters_file())}}
    return replace(args, attention_backend=AttentionBackendEnum.CUSTOM, additional_config=config)


@cache
def counters_file() -> Path:
    """A page that every engine of this process counts on; `/metrics` shows it from now on."""
    with tempfile.NamedTemporaryFile(prefix="electron-shared-prefix-", delete=False) as file:
        path = Path(file.name)
    atexit.register(path.unlink, missing_ok=True)
    REGISTRY.register(SharedPrefixCollector(Counters(path)))
    return path


class SharedPrefixCollector(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, figure in self._counters.read().items():
            yield CounterMetricFamily(f"electron_shared_prefix_{name}", SERIES[name], value=figure)
