import os
from pathlib import Path

import pytest

from kernels.cpu.threads import thread_count


@pytest.mark.parametrize(
    "quota, expected",
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("?", 8),
    ],
)
def test_a_container_gets_threads_for_its_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    assert thread_count(tmp_path / "cpu.max") == expected


def test_without_a_quota_all_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert thread_count(tmp_path / "absent") == 2
