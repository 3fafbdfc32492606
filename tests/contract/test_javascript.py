"""The OpenAI SDK for JavaScript, unmodified."""

import json
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "javascript"


def installed() -> Path:
    """The folder with the SDK and the scripts."""
    if not (FOLDER / "node_modules" / "openai").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        subprocess.run(install, cwd=FOLDER, check=True, timeout=300)
    return FOLDER


@pytest.fixture(scope="module")
def turns(server) -> dict:
    output = subprocess.run(
        ["node", "turns.mjs", server.url], cwd=installed(), check=True, timeout=120, capture_output=True, text=True
    )
    return json.loads(output.stdout)


def test_plain_streamed_and_by_the_helper_are_the_same(turns: dict) -> None:
    assert turns["plain"] == turns["streamed"] == turns["helper"]


def test_usage_arrives_in_the_stream(turns: dict) -> None:
    assert turns["usage"]["total_tokens"] == turns["usage"]["prompt_tokens"] + turns["usage"]["completion_tokens"]


def test_a_refusal_arrives_with_its_details(turns: dict) -> None:
    assert turns["refused"] == {
        "status": 400,
        "type": "invalid_request_error",
        "details": [{"code": "custom", "message": "n > 1 is not supported", "path": ["n"]}],
    }
