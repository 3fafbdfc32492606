"""The chart, rendered."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tests.deploy.tools import helm

CHART = ROOT / "configs/helm/electron-server"
CASES = sorted((CHART / "ci").glob("*.yaml"))
KEYS = ("keys.existingSecret=electron-keys",)


def template(major: int, *assignments: str, file: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """assignments: as of --set; with a leading `json:` as of --set-json."""
    command = [str(helm(major)), "template", "voice", str(CHART), "--namespace", "phones"]
    for one in assignments:
        command += ["--set-json", one.removeprefix("json:")] if one.startswith("json:") else ["--set", one]
    command += ["--values", str(file)] if file else []
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def rendered(*assignments: str, file: Path | None = None, major: int = 3) -> list[dict[str, Any]]:
    done = template(major, *assignments, file=file)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def server_pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = one(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def server_container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = (each for each in server_pod(objects)["containers"] if each["name"] == "server")
    return dict(container)


def configuration(objects: list[dict[str, Any]]) -> str:
    (found,) = (each["data"]["config.yaml"] for each in objects if "config.yaml" in each.get("data", {}))
    return str(found)
