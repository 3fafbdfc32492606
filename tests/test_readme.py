"""The README as a newcomer reads it: every command in it is run by a test, or is named here as one that is not."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml

from server.cli import main
from server.protocol import Limits, parse_chat
from server.settings import load_settings
from tests.conftest import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SPANS = re.compile(r"`(benchmarks\.\w+|python -m|make|electron-server|keys create)( [^`]*)?`")
BETWEEN = "&|;"  # commands of one line
# Beginning of a command: the test that runs it, or its like with other names.
TESTED = {
    "make check": ".ci/run",
    "make image-test": ".ci/run",
    "make test": ".ci/run",
    "curl -N http://127.0.0.1:8000/v1/chat/completions": "tests/contract/test_quickstart.py::test_curl",
    "electron-server serve": "tests/conftest.py",
    "ELECTRON__HTTP__PORT=9000 electron-server serve": "tests/test_settings.py::test_later_sources_win",
    "electron-server check": "tests/fit/test_fit.py::test_check_says_it_of_a_folder",
    "electron-server keys create": "tests/test_readme.py::test_keys_are_made_listed_and_revoked_as_the_readme_says",
    "electron-server keys list": "tests/test_readme.py::test_keys_are_made_listed_and_revoked_as_the_readme_says",
    "electron-server keys revoke": "tests/test_readme.py::test_keys_are_made_listed_and_revoked_as_the_readme_says",
    "electron-server usage": "tests/telemetry/test_usage.py::test_the_command_says_it",
    "promtool check rules": "tests/telemetry/test_expressions.py::test_promtool",
    "python -m benchmarks.grammar_cost": "tests/benchmarks/test_grammar_cost.py::test_a_vocabulary_of_bytes",
    "python -m benchmarks.picker": "tests/deploy/test_gateway.py::test_the_picker_finds_its_figures_in_our_page",
    "python -m benchmarks.voice --url": "tests/benchmarks/test_voice.py::test_calls_to_a_real_server_are_measured",
    "python -m benchmarks.voice compare": "tests/benchmarks/test_voice.py::test_compare_says_how_many_times_better",
    "python -m benchmarks.voice shape": "tests/benchmarks/test_voice.py::test_a_shape_is_a_model_folder_of_that_size",
}
# Beginning of a command: why no test runs it.
UNTESTED = {
    "make serve": "runs until it is stopped; its command is what tests/conftest.py starts",
    "make .venv/.server": "installs; `make test` does the same with more",
    "cd": "the shell's",
    ". .venv/bin/activate": "the shell's",
    "git clone": "needs the address of a repository",
    "install -D": "the system's",
    "docker build": "needs a container engine; `make image-test` builds the file without one",
    "docker run": "likewise",
    "kubectl create": "needs a cluster",
    "helm install": "needs a cluster; what it would send is tested in tests/deploy",
    "helm test": "needs a cluster; the command of its pod is run in tests/deploy",
    "python -m benchmarks.faults": "minutes; tests/faults asserts some of it",
    "python -m benchmarks.filler": "minutes; tests/contract/test_filler.py has some of it",
    "python -m benchmarks.filler_cost": "minutes",
    "python -m benchmarks.fuzz": "minutes; tests/faults/test_bodies.py has some of it",
    "python -m benchmarks.fuzz_parsers": "for ever; tests/faults/test_parser_corpus.py runs what it has kept",
    "python -m benchmarks.hostile": "minutes; tests/faults/test_bodies.py and tests/api/test_bodies.py have some of it",
    "python -m benchmarks.kernels gate": "needs a GPU",
    "python -m benchmarks.kv_events": "minutes; the index is tested in tests/engine/test_kv_events.py",
    "python -m benchmarks.ledger": "minutes; tests/accounts/test_ledger.py has some of it",
    "python -m benchmarks.long_prompt": "minutes",
    "python -m benchmarks.parsing": "a minute of processor time",
    "python -m benchmarks.rolling": "minutes; tests/faults/test_rolling.py restarts one of the two",
    "python -m benchmarks.scale_out": "minutes; tests/accounts/test_envoy.py asserts the same of the limits",
    "python -m benchmarks.serving_layer": "half an hour; what it counts is tested in tests/benchmarks",
    "python -m benchmarks.soak": "half an hour",
    "python -m benchmarks.tool_grammar": "minutes; tests/contract/test_tools.py has some of it",
    "python -m benchmarks.voice capacity": "minutes; the bisection is tested by itself",
    "python -m benchmarks.voice versus": "minutes; benchmarks/results holds a run of it",
}
KNOWN = {**TESTED, **UNTESTED}


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS.findall(TEXT) if kind == language]


def split(block: str) -> Iterator[str]:
    """The commands of a block, each as its words with one space between them."""
    text = ""
    for line in block.replace("\\\n", " ").splitlines(keepends=True):
        text += line
        words = shlex.shlex(text, posix=True, punctuation_chars=BETWEEN)
        words.whitespace_split = True
        try:
            found = list(words)
        except ValueError:  # a quotation that goes on in the next line
            continue
        text = ""
        commands: list[list[str]] = [[]]
        for word in found:
            commands.append([]) if set(word) <= set(BETWEEN) else commands[-1].append(word)
        yield from (" ".join(command) for command in commands if command)


def spans() -> Iterator[str]:
    """Commands between the words of a sentence, the short forms written out."""
    for begin, rest in SPANS.findall(" ".join(BLOCKS.sub("", TEXT).split())):
        whole = {"keys create": "electron-server keys create"}.get(begin, begin) + rest
        yield f"python -m {whole}" if begin.startswith("benchmarks.") else whole


COMMANDS = sorted({*(command for block in blocks("sh") for command in split(block)), *spans()})


def begins(command: str, known: str) -> bool:
    return re.match(rf"{re.escape(known)}(?![\w-])", command) is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_tested_or_named_as_untested(command: str) -> None:
    assert [known for known in KNOWN if begins(command, known)]


def test_what_is_named_is_in_the_readme_and_its_tests_exist() -> None:
    assert not TESTED.keys() & UNTESTED.keys()
    for known in KNOWN:
        assert any(begins(command, known) for command in COMMANDS), known
    for known, place in TESTED.items():
        file, _, test = place.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else known.split()[-1] in text, place


def sources(command: str) -> str | None:
    """The program behind a command, where it is ours."""
    if " -m benchmarks." in command:
        module = ROOT / command.split(" -m ")[1].split()[0].replace(".", "/")
        files = sorted(module.glob("*.py")) if module.is_dir() else [module.with_suffix(".py")]
        return "".join(file.read_text(encoding="utf-8") for file in files)
    if "electron-server " in command and not command.startswith(("docker", "helm")):
        return (ROOT / "server/cli.py").read_text(encoding="utf-8")
    return None


@pytest.mark.parametrize("command", filter(sources, COMMANDS))
def test_our_programs_have_the_options_that_are_given(command: str) -> None:
    for option in re.findall(r"(?<= )--[\w-]+", command):
        assert f'"{option}"' in str(sources(command)), option


def test_the_files_that_are_named_are_there() -> None:
    named = set(re.findall(r"(?<![\w/.-])(?:configs|server|tests|kernels|benchmarks)/[\w./-]*\w", TEXT))
    assert len(named) > 20
    for path in named:
        assert (ROOT / path).exists(), path


def test_every_setting_that_is_set_is_one() -> None:
    for command in filter(sources, COMMANDS):
        load_settings(environment={}, assignments=re.findall(r"--set ([\w.]+=\S+)", command))
    for block in blocks("yaml"):
        load_settings(environment={}, assignments=[f"{name}={orjson.dumps(value).decode()}"
                                                   for name, value in yaml.safe_load(block).items()])  # fmt: skip


def test_the_members_that_are_shown_are_taken() -> None:
    body = {"model": "electron", "messages": [{"role": "user", "content": "Hello"}]}
    for line in "".join(blocks("json")).splitlines():
        parse_chat(orjson.dumps({**body, **orjson.loads(line)}), Limits(models=("electron",), vocab_size=1000))


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
