"""Kernels of our own, in place of vLLM's."""

from pathlib import Path

from pydantic import Field

from server.settings.base import Section


class KernelSettings(Section):
    shared_prefix_gate: Path | None = Field(
        None,
        description="Where decode attention reads a shared prompt once: the table that `python -m benchmarks.kernels "
        "gate` measures on this kind of GPU. Absent: never.",
    )
