"""What a GPU node without containers is given."""

import subprocess
import sys
from pathlib import Path

from server.settings import LifecycleSettings
from tests.conftest import ROOT

UNIT = ROOT / "configs/systemd/electron-server.service"


def _value(name: str) -> str:
    return next(line.split("=", 1)[1] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}="))


def test_the_unit_gives_the_drain_its_time_and_leaves_the_engine_to_the_server() -> None:
    defaults = LifecycleSettings()
    assert int(_value("TimeoutStopSec")) >= defaults.drain_pause + defaults.drain_timeout + 15
    assert _value("KillMode") == "mixed"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is there in place of ours, which is installed elsewhere."""
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace("/opt/electron/.venv/bin/electron-server", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hadolint")), "Dockerfile.cuda"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")
