"""Every command of the README is run by a test, or is named here as one that is not."""

import re
from pathlib import Path

import pytest

from server.cli import main
from tests.conftest import ROOT

BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
# Beginning of a command: the test file that runs it, or its like with other names; or why none does.
TESTED = {
    "make test": ".ci/run",
    "curl -N http://127.0.0.1:8000/v1/chat/completions": "tests/contract/test_chat.py",
    "electron-server serve": "tests/conftest.py",
    "ELECTRON__HTTP__PORT=9000 electron-server serve": "tests/test_settings.py",
    "electron-server check": "tests/fit/test_fit.py",
    "electron-server keys create": "tests/test_readme.py",
    "electron-server keys list": "tests/test_readme.py",
    "electron-server keys revoke": "tests/test_readme.py",
    "promtool check rules": "tests/telemetry/test_expressions.py",
    "python -m benchmarks.voice --url": "tests/benchmarks/test_voice.py",
    "python -m benchmarks.voice compare": "tests/benchmarks/test_voice.py",
}
UNTESTED = {
    "electron-server usage": "needs a ledger with rows; what it calls is tested in tests/telemetry/test_usage.py",
    "make serve": "runs until it is stopped; its command is what tests/conftest.py starts",
    "python -m benchmarks.faults": "minutes; tests/faults asserts some of it",
    "python -m benchmarks.rolling": "minutes",
    "python -m benchmarks.fuzz": "minutes",
    "python -m benchmarks.long_prompt": "minutes",
    "python -m benchmarks.soak": "half an hour",
    "python -m benchmarks.voice capacity": "minutes; the bisection is tested by itself",
    "python -m benchmarks.voice versus": "minutes; benchmarks/results holds a run of it",
    "git clone": "needs the address of a repository",
    ". .venv/bin/activate": "the shell's",
    "docker build": "needs a container engine; hadolint reads the file",
    "docker run": "likewise",
    "kubectl create": "needs a cluster",
    "helm install": "needs a cluster; what it would send is tested in tests/deploy",
    "helm test": "needs a cluster; the command of its pod is run in tests/deploy",
}


def commands() -> list[str]:
    lines = "\n".join(BLOCKS.findall((ROOT / "README.md").read_text(encoding="utf-8"))).splitlines()
    return [line for line in lines if line and not line.startswith((" ", "#"))]


@pytest.mark.parametrize("command", commands())
def test_a_command_is_tested_or_named_as_untested(command: str) -> None:
    assert [known for known in (*TESTED, *UNTESTED) if command.startswith(known)]


def test_what_is_named_is_in_the_readme_and_its_tests_exist() -> None:
    for known in (*TESTED, *UNTESTED):
        assert any(command.startswith(known) for command in commands()), known
    for place in TESTED.values():
        assert (ROOT / place).exists(), place


def _said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_keys_are_made_listed_and_revoked_as_the_readme_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ["--keys-file", str(tmp_path / "keys.yaml")]
    assert "sk_" in _said(["keys", "create", *file, "--account", "acme", "--plan", "standard"], capsys)
    listed = _said(["keys", "list", *file], capsys)
    assert "acme" in listed and "sk_" not in listed
    (identifier,) = re.findall(r"\b[0-9a-f]{12}\b", listed)
    _said(["keys", "revoke", *file, identifier], capsys)
    assert "revoked" in _said(["keys", "list", *file], capsys)
