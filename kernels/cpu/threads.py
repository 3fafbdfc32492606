"""How many threads the model may use."""

import math
import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "<microseconds | max> <period>", cgroup v2


def thread_count(quota: Path = CGROUP_QUOTA) -> int:
    """Cores this process may run on, or fewer where its container is given less time than that."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota_cores(quota) or cores))


def _quota_cores(quota: Path) -> int | None:
    try:
        allowed, period = quota.read_text().split()
        return None if allowed == "max" else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):
        return None
