"""vLLM platform plugin: the stock wheel, built for CUDA, on a machine without a GPU.

vLLM calls `activate` (entry point group `vllm.platform_plugins`) in every process: this module imports nothing heavy.
"""

import logging
import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

PLATFORM = "kernels.cpu.platform.PortableCpuPlatform"
GROUP = "vllm.platform_plugins"

logger = logging.getLogger(__name__)


def activate() -> str | None:
    """Class path of the platform; None where there is a better one: an accelerator, vLLM for CPUs, another plugin."""
    try:
        return None if _builtin_platform() or _other_plugin() else PLATFORM
    except Exception:  # a failing probe must leave vLLM as it would be without this plugin
        logger.debug("CPU platform not activated", exc_info=True)
        return None


def _builtin_platform() -> bool:
    """Whether vLLM's own probes find a platform. They ask the drivers (NVML, not CUDA): nothing is initialised."""
    from vllm.platforms import builtin_platform_plugins

    return any(_answers(probe) for probe in builtin_platform_plugins.values())


def _other_plugin() -> bool:
    others = [plugin for plugin in entry_points(group=GROUP) if _is_other(plugin)]
    return any(_answers(lambda plugin=plugin: plugin.load()()) for plugin in others)


def _is_other(plugin: EntryPoint) -> bool:
    allowed = os.environ.get("VLLM_PLUGINS")
    return plugin.value != f"{__name__}:{activate.__name__}" and (allowed is None or plugin.name in allowed.split(","))


def _answers(probe: Callable[[], str | None]) -> bool:
    try:
        return probe() is not None
    except Exception:  # vLLM, too, reads a probe that cannot be loaded or raises as "not here"
        return False
