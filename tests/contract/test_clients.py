"""Unmodified clients, each in an environment of its own, against the running server.

What a model decides by itself (to call once more, or twice at once) is brought about here by `tool_choice` and
`logit_bias`, so that the clients see every kind of turn whatever the model has learnt.
"""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer

from server.nano import model_path
from tests.conftest import ROOT, Server
from tests.contract.test_javascript import FOLDER, installed

CLIENTS = ROOT / ".clients"
SCRIPTS = Path(__file__).parent / "clients"
PACKAGES = {
    "openai_sdk": ["openai==3.57.0"],
    "pipecat_service": ["pipecat-ai==1.14.0"],
    "livekit_plugin": ["livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9"],
}
VOICE = [
    {"role": "system", "content": "You are a friendly phone agent. Briefly acknowledge out loud before using a tool."},
    {"role": "user", "content": "How is the weather in Pune?"},
]
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look up the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Pune", "Mumbai"]}},
            "required": ["city"],
        },
    },
}
WAIT = {
    "type": "function",
    "function": {
        "name": "wait",
        "description": "Wait.",
        "parameters": {"type": "object", "properties": {"for": {"enum": ["it"]}}, "required": ["for"]},
    },
}
NOTE = {
    "type": "function",
    "function": {
        "name": "note",
        "description": "Take a long note.",
        "parameters": {
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 2000, "maxLength": 2000}},
            "required": ["text"],
        },
    },
}
TOOLS = [LOOK, WAIT]


def request(**fields: object) -> dict[str, object]:
    return {"model": "electron", "messages": VOICE, "tools": TOOLS, "max_tokens": 200, "seed": 5, **fields}


def scenarios() -> dict[str, dict[str, object]]:
    """By name, in order. after: turns whose calls and results come before this one."""
    tokenizer = Tokenizer.from_file(str(model_path() / "tokenizer.json"))
    again = {str(tokenizer.token_to_id("<tool_call>")): 100, str(tokenizer.encode("\n").ids[0]): 100}
    # The server speaks, so that the call comes at once; one call follows another until there is no room for one.
    parallel = request(tools=[WAIT], logit_bias=again, max_tokens=100, extra_body={"filler": {"strategy": "phrase"}})
    return {
        "plain": {"request": {**request(max_tokens=16), "tools": []}},
        "forced": {"request": request(tool_choice="required")},
        "named": {"request": request(tool_choice={"type": "function", "function": {"name": "wait"}})},
        "parallel": {"request": parallel},
        "chained": {"request": request(tool_choice="required"), "after": ["forced"]},
        "answered": {"request": request(tool_choice="none", max_tokens=16), "after": ["forced", "chained"]},
        "interrupted": {"request": request(tools=[NOTE], tool_choice="required", max_tokens=2000), "interrupt": True},
    }


def python_of(name: str) -> Path:
    """An interpreter that has the client and nothing of ours. Made once for a checkout."""
    folder = CLIENTS / name
    made = folder / "packages.txt"
    wanted = "\n".join(PACKAGES[name])
    if not made.exists() or made.read_text() != wanted:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *PACKAGES[name]]
        subprocess.run(install, check=True, timeout=600)
        made.write_text(wanted)
    return folder / "bin" / "python"


@pytest.fixture(scope="module", params=[*PACKAGES, "javascript"])
def seen(request: pytest.FixtureRequest, server: Server, http: httpx.Client) -> dict[str, dict]:
    """What the client took in, by scenario."""
    if request.param == "javascript":
        command = ["node", str(installed() / "scenarios.mjs")]
    else:
        command = [str(python_of(request.param)), str(SCRIPTS / f"{request.param}.py")]
    wanted = scenarios()
    for scenario in wanted.values():
        if not scenario["request"]["tools"]:
            del scenario["request"]["tools"]
    run = subprocess.run(
        [*command, server.url, json.dumps(wanted)], cwd=FOLDER, timeout=300, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_a_plain_turn(seen: dict) -> None:
    assert seen["plain"]["text"] and seen["plain"]["calls"] == []


@pytest.mark.parametrize("name", ["forced", "named", "chained"])
def test_words_come_before_one_call(seen: dict, name: str) -> None:
    (call,) = seen[name]["calls"]
    order = seen[name]["order"]
    assert {"words", "call"} == {*order} and order == sorted(order, reverse=True)
    assert json.loads(call["arguments"]) in ({"city": "Pune"}, {"city": "Mumbai"}, {"for": "it"})
    assert call["name"] == "wait" or name != "named"


def test_what_was_said_before_one_call_of_a_chain_is_not_said_before_the_next(seen: dict) -> None:
    assert seen["forced"]["text"] != seen["chained"]["text"]


def test_calls_in_parallel(seen: dict) -> None:
    calls = [call for call in seen["parallel"]["calls"] if call["arguments"] == '{"for": "it"}']
    assert len(calls) >= 2
    assert {call["name"] for call in calls} == {"wait"}
    assert len({call["id"] for call in calls}) == len(calls)
    assert seen["parallel"]["order"][0] == "words"


def test_results_are_taken_back(seen: dict) -> None:
    assert seen["answered"]["calls"] == []


def test_an_interruption_ends_the_turn(seen: dict, http: httpx.Client) -> None:
    assert seen["interrupted"]["text"] and seen["interrupted"]["calls"] == []
    assert http.get("/readyz").status_code == 200
