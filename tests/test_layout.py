"""The rules of the house: imports run one way, and what is dangerous has one door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "server"

BOTTOM = {"errors", "records", "settings", "protocol", "processes"}
STAGES = {"admission", "prompt", "engine", "parsing", "telemetry"}
ALLOWED = {
    "errors": set(),
    "records": set(),
    "settings": set(),
    "protocol": {"errors", "records"},
    "processes": {"settings"},
    "nano": {"prompt"},  # its corpus reads a system prompt as the server does
    "fit": BOTTOM,
    **{stage: BOTTOM for stage in STAGES},
    "pipeline": BOTTOM | STAGES,
    "lifecycle": BOTTOM | STAGES | {"pipeline", "nano"},
    "api": BOTTOM | STAGES | {"pipeline", "lifecycle"},
    "app": BOTTOM | {"api", "lifecycle"},
    "serving": BOTTOM | STAGES | {"api", "app", "lifecycle"},
    "cli": BOTTOM | STAGES | {"fit", "lifecycle", "nano", "serving"},
    "__main__": {"cli"},
    "__init__": set(),
}
SOURCES = sorted([*SERVER.rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_of(path: Path) -> str:
    return path.relative_to(SERVER).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_from(path: Path, package: str) -> set[str]:
    return {name for name in imports_of(path) if name == package or name.startswith(f"{package}.")}


@pytest.mark.parametrize("path", sorted(SERVER.rglob("*.py")), ids=name_of)
def test_rooms_import_only_what_lies_below_them(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports_from(path, "server") if name.count(".") >= 1} - {"__version__"}
    assert rooms - {room} <= ALLOWED[room], f"{room} may import {sorted(ALLOWED[room])}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_engine_room_and_the_kernels_import_vllm(path: Path) -> None:
    if imports_from(path, "vllm"):
        assert path.is_relative_to(SERVER / "engine") or path.is_relative_to(ROOT / "kernels")


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_kernel_files_import_triton(path: Path) -> None:
    if imports_from(path, "triton"):
        assert path.name == "kernel.py" and path.is_relative_to(ROOT / "kernels")


@pytest.mark.parametrize("path", sorted(SERVER.rglob("*.py")), ids=name_of)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    reads = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    if reads & {"environ", "getenv"}:
        assert path == SERVER / "settings" / "environment.py"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_a_module_global(path: Path) -> None:
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Global)]
