"""The commands, as a newcomer and an orchestrator meet them."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import main
from tests.conftest import Server

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.mark.parametrize(
    "config", [*sorted(CONFIGS.glob("*-8b.yaml")), CONFIGS / "nano.yaml"], ids=lambda path: path.name
)
def test_check_accepts_what_is_shipped(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["check", "--config", str(config)])
    assert raised.value.code == 0
    assert "The configuration is valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("engine.max_num_seq=1", "did you mean `max_num_seqs`?"),
        ("model.tool_format=hermez", "did you mean `hermes`?"),
        ("model.tool_format=vllm:jambo", "did you mean `vllm:jamba`?"),
        ("model.chat_template=/nowhere.jinja", "there is no file /nowhere.jinja"),
        ("http.prot=1", "did you mean `http.port`?"),
    ],
)
def test_check_names_what_is_wrong(assignment: str, expected: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["check", "--set", assignment])
    assert expected in str(raised.value.code)


def test_check_says_what_several_processes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", "--config", str(CONFIGS / "nano.yaml"), "--set", "http.processes=2"]
    with pytest.raises(SystemExit) as raised:
        main(command)
    assert raised.value.code == 0
    assert "2 processes speak HTTP, over one engine" in capsys.readouterr().out
    with pytest.raises(SystemExit) as raised:
        main([*command, "--set", "lifecycle.restarts=1"])
    assert "`http.processes: 2` excludes `lifecycle.restarts`" in str(raised.value.code)


def test_flags_win_over_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--config", str(CONFIGS / "nano.yaml"), "--port", "9000", "--model", "some/model"])
    printed = capsys.readouterr().out
    assert '"port": 9000' in printed and '"path": "some/model"' in printed


def test_a_model_that_cannot_be_loaded_ends_the_process_with_an_error(tmp_path: Path) -> None:
    server = Server(tmp_path / "log.txt", f"model.path={tmp_path}")
    assert server.process.wait(300) == 1
    assert "the model could not be loaded" in server.log.read_text()


def test_the_module_runs_too() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "serve" in output and "check" in output
