"""Tables of the README, made from benchmarks/results: nobody types a figure."""

import re
from pathlib import Path

from benchmarks.voice.environment import ROOT
from benchmarks.voice.results import Result, read
from benchmarks.voice.tables import by_load, capacities, two

README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks/results"
PLACE = re.compile(r"<!-- results: (?P<file>\S+) -->\n.*?<!-- end of results -->", re.DOTALL)


def filled(text: str) -> str:
    """The README with every table as the files have it."""
    return PLACE.sub(lambda place: _table(place["file"]), text)


def _table(name: str) -> str:
    results = read(RESULTS / name)
    table = two(results[0], results[1]) if len(results) == 2 else by_load(results)
    said = "\n\n".join(filter(None, (_where(results[0]), table, capacities(results).replace("\n", "; "))))
    return f"<!-- results: {name} -->\n{said}\n<!-- end of results -->"


def _where(result: Result) -> str:
    at, options = result.environment, result.options
    machine = at["gpu"] or f"{at['cores']} cores of {at['cpu']}, no GPU"
    return (
        f"`{options['command']}`; {machine}; commit {at['commit']}, {at['when'][:10]}; vLLM {at['packages']['vllm']}; "
        f"SLO: first token {options['slo']['first']:g} ms, inter-token {options['slo']['gap']:g} ms, both p95."
    )


def main(check: bool, file: Path = README) -> int:
    """0, or 1 where `check` finds that the file is not what it should be."""
    text = file.read_text(encoding="utf-8")
    if check:
        return int(filled(text) != text)
    file.write_text(filled(text), encoding="utf-8")
    return 0
