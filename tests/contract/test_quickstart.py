"""The README's first requests, run as they stand, but for the address of the server."""

import json
import re
import subprocess

import pytest

from tests.conftest import ROOT, Server
from tests.contract.test_javascript import installed

BLOCKS = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


def block(server: Server, language: str, word: str) -> str:
    """The one block in that language that has this word, with the server's address."""
    blocks = BLOCKS.findall((ROOT / "README.md").read_text("utf-8"))
    (found,) = (text for kind, text in blocks if kind == language and word in text)
    assert ADDRESS in found
    return found.replace(ADDRESS, server.root)


def python(server: Server, word: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a block of Python prints."""
    known: dict[str, object] = {}
    exec(compile(block(server, "python", word), "README.md", "exec"), known)
    return capsys.readouterr().out.strip()


def test_curl(server: Server) -> None:
    command = ["bash", "-c", block(server, "sh", "curl -N")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith('data: {"id":"chatcmpl-')
    assert done.stdout.endswith("data: [DONE]\n\n")


def test_python(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert python(server, "Hello! Who are you?", capsys)


def test_javascript(server: Server) -> None:
    command = ["node", "--input-type=module", "--eval", block(server, "javascript", "openai")]
    done = subprocess.run(command, cwd=installed(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_phone_agent_speaks_calls_and_reads_the_result(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    spoken, call, answer = python(server, "get_weather", capsys).splitlines()
    assert re.fullmatch(r"[^<>{}\[\]]+[.!]", spoken)
    name, _, arguments = call.removeprefix("-> ").partition(" ")
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Pune"})
    assert "sunny" in answer and "31" in answer
