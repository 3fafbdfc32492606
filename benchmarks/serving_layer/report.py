"""Rows to a table of ratios, to a plot, and to the README.

python -m benchmarks.serving_layer.report   # again, from benchmarks/results
"""

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.serving_layer.subjects import NAMES
from benchmarks.voice.environment import ROOT

README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
PLACE = re.compile(r"<!-- serving layer: (?P<name>\S+) -->\n.*?<!-- end of serving layer -->", re.DOTALL)

Row = dict[str, Any]


def ratios(rows: list[Row], figure: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[float]:
    """One for each round. ours, theirs: what the rows to compare have to be."""

    def of(wanted: dict[str, Any]) -> dict[int, float]:
        return {row["round"]: row[figure] for row in rows if wanted.items() <= row.items()}

    above, below = of(ours), of(theirs)
    return [above[each] / below[each] for each in sorted(above.keys() & below.keys())]


def markdown(rows: list[Row]) -> str:
    """Every measured figure as the median of the rounds, then the ratios of ours to the others."""
    figures = ("rate", "cpu", "ttft_p50", "ttft_p99", "gap_p50", "gap_p99", "tokens_per_arrival")
    lines = [
        "| turns | at once | | tokens/s | CPU per token, µs | TTFT p50 / p99, ms | gap p50 / p99, ms | tokens each |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for kind, concurrency, subject in _cells(rows):
        cell = [
            row for row in rows if (row["kind"], row["concurrency"], row["subject"]) == (kind, concurrency, subject)
        ]
        rate, cpu, p50, p99, gap, gap99, joined = (median(row[figure] for row in cell) for figure in figures)
        lines.append(
            f"| {kind} | {concurrency} | {NAMES[subject]} | {rate:,.0f} | {cpu:.0f} | {p50:.1f} / {p99:.1f} "
            f"| {gap:.1f} / {gap99:.1f} | {joined:.1f} |"
        )
    return "\n".join([*lines, "", *_ratio_lines(rows)])


def _ratio_lines(rows: list[Row]) -> list[str]:
    lines = [
        "| ours against | turns | at once | CPU | TTFT p50 | TTFT p99 | gap p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, concurrency, subject in _cells(rows):
        where = {"kind": kind, "concurrency": concurrency}
        other = {**where, "subject": subject}
        if subject == "two":
            continue
        if subject == "ours":
            other = {**where, "subject": subject, "kind": "plain"}
            if kind == "plain":
                continue
        cells = [
            _spread(ratios(rows, figure, {**where, "subject": "ours"}, other))
            for figure in ("cpu", "ttft_p50", "ttft_p99", "gap_p99")
        ]
        name = "our plain turns" if subject == "ours" else NAMES[subject]
        lines.append(f"| {name} | {kind} | {concurrency} | {' | '.join(cells)} |")
    return lines + _process_lines(rows)


def _process_lines(rows: list[Row]) -> list[str]:
    """Two processes against one, where both were measured."""
    lines = []
    for kind, concurrency, subject in _cells(rows):
        if subject != "two":
            continue
        where = {"kind": kind, "concurrency": concurrency}
        two, one = ({**where, "subject": name} for name in ("two", "ours"))
        cells = [
            _spread(ratios(rows, figure, two, one))
            for figure in ("rate", "cpu", "ttft_p50", "ttft_p99", "gap_p50", "gap_p99")
        ]
        lines.append(f"| {kind} | {concurrency} | {' | '.join(cells)} |")
    if not lines:
        return []
    head = "| two processes against one | at once | tokens/s | CPU | TTFT p50 | TTFT p99 | gap p50 | gap p99 |"
    return ["", head, "|---|---|---|---|---|---|---|---|", *lines]


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


def _cells(rows: list[Row]) -> list[tuple[str, int, str]]:
    return list(dict.fromkeys((row["kind"], row["concurrency"], row["subject"]) for row in _sorted(rows)))


def _sorted(rows: list[Row]) -> list[Row]:
    names = list(NAMES)
    return sorted(rows, key=lambda row: (row["kind"], row["concurrency"], names.index(row["subject"])))


def plot(rows: list[Row], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: list[tuple[str, str, str]] = [
        ("cpu", "plain", "CPU of the front end per token, µs: plain turns"),
        ("cpu", "tools", "the same: turns with a tool call"),
        ("ttft_p50", "plain", "time to first token, p50, ms"),
        ("ttft_p99", "plain", "time to first token, p99, ms"),
    ]
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, (value, kind, title) in zip(axes.flat, panels, strict=True):
        for subject, name in NAMES.items():
            its = [row for row in rows if row["subject"] == subject and row["kind"] == kind]
            if its:
                _curve(axis.plot, its, value, name)
        axis.set(title=title, xlabel="conversations at once", xscale="log", yscale="log")
        axis.grid(True, which="both", alpha=0.3)
    axes[0][0].legend()
    figure.savefig(file, dpi=110)


def _curve(draw: Callable[..., Any], rows: list[Row], value: str, name: str) -> None:
    at_once = sorted({row["concurrency"] for row in rows})
    draw(at_once, [median(row[value] for row in rows if row["concurrency"] == n) for n in at_once], "o-", label=name)


def filled(text: str) -> str:
    """The README with the tables as the files have them, where there are files."""

    def tables(place: re.Match[str]) -> str:
        file = RESULTS / f"{place['name']}.jsonl"
        if not file.exists():
            return place[0]
        head, *rows = map(orjson.loads, file.read_bytes().splitlines())
        body = f"{_where(head)}\n\n{markdown(rows)}\n\n![plot](benchmarks/results/{place['name']}.png)"
        return f"<!-- serving layer: {place['name']} -->\n{body}\n<!-- end of serving layer -->"

    return PLACE.sub(tables, text)


def _where(head: dict[str, Any]) -> str:
    at = head["environment"]
    machine = at["gpu"] or f"{at['cores']} cores of {at['cpu']}, no GPU"
    return f"`{head['command']}`; {machine}; commit {at['commit']}, {at['when'][:10]}; vLLM {at['packages']['vllm']}."


def fill_readme() -> None:
    """With its plots."""
    text = README.read_text(encoding="utf-8")
    for place in PLACE.finditer(text):
        file = RESULTS / f"{place['name']}.jsonl"
        if file.exists():
            plot(list(map(orjson.loads, file.read_bytes().splitlines()[1:])), file.with_suffix(".png"))
    README.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    fill_readme()
