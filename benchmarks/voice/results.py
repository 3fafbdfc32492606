"""Result files: one JSON object a line. Kinds: environment, options, request, summary; in this order, per run."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.voice.environment import environment
from benchmarks.voice.load import Run
from benchmarks.voice.records import Request
from benchmarks.voice.summary import Slo, summarize


@dataclass(frozen=True, slots=True)
class Result:
    """One run as it is in a file. options: what was asked of whom."""

    environment: dict[str, Any]
    options: dict[str, Any]
    summary: dict[str, Any]
    requests: list[Request] = field(default_factory=list)


def result_of(run: Run, slo: Slo, options: Mapping[str, Any]) -> Result:
    return Result(environment(), {**options, "slo": asdict(slo)}, summarize(run, slo), run.requests)


def rounds(result: Result) -> list[dict[str, Any]]:
    """The summary of each round by itself."""
    options, slo = result.options, Slo(**result.options["slo"])
    summaries = []
    for number in range(options.get("rounds", 1)):
        requests = [one for one in result.requests if one.round == number]
        summary = summarize(Run(requests, seconds=options["duration"] - options["ramp"]), slo)
        processor = options.get("processor") or [None] * options["rounds"]
        summaries.append({**summary, "processor": processor[number]})
    return summaries


def write(file: Path, results: list[Result]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        for result in results:
            for line in _lines(result):
                out.write(orjson.dumps(line) + b"\n")


def _lines(result: Result) -> Iterator[dict[str, Any]]:
    yield {"kind": "environment", **result.environment}
    yield {"kind": "options", **result.options}
    for request in result.requests:
        yield {"kind": "request", **request.row()}
    yield {"kind": "summary", **result.summary}


def read(file: Path) -> list[Result]:
    """Raises ValueError where the file is of another kind."""
    results: list[Result] = []
    held: dict[str, Any] = {}
    requests: list[Request] = []
    for line in filter(None, file.read_bytes().splitlines()):
        row = orjson.loads(line)
        kind = row.pop("kind", None)
        if kind == "request":
            requests.append(Request(**row))
        elif kind in ("environment", "options"):
            held[kind] = row
        elif kind == "summary":
            results.append(Result(held["environment"], held["options"], row, requests))
            requests = []
        else:
            raise ValueError(f"{file}: a line of kind {kind!r}")
    return results
