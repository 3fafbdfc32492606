"""Figures as text: of one run, of two beside one another, of several loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.voice.results import Result


@dataclass(frozen=True, slots=True)
class Figure:
    """path: in a summary. lower: the smaller one is the better."""

    name: str
    path: tuple[str, ...]
    unit: str = "ms"
    lower: bool = True
    scale: float = 1.0
    digits: int = 1

    def of(self, summary: dict[str, Any]) -> float | None:
        value: Any = summary
        for key in self.path:
            value = value[key]
        return None if value is None else value * self.scale

    def text(self, summary: dict[str, Any]) -> str:
        value = self.of(summary)
        return "-" if value is None else f"{value:,.{self.digits}f}"

    def ratio(self, ours: dict[str, Any], theirs: dict[str, Any]) -> float | None:
        """How much better ours is: above 1 is better, whichever way the figure points."""
        first, second = self.of(ours), self.of(theirs)
        if not first or not second:
            return None
        return second / first if self.lower else first / second


FIGURES = (
    Figure("TTFT p50", ("first", "p50")),
    Figure("TTFT p95", ("first", "p95")),
    Figure("first piece of a tool turn p50", ("first_of_tool_turns", "p50")),
    Figure("first speakable clause p50", ("clause", "p50")),
    Figure("first speakable clause p95", ("clause", "p95")),
    Figure("first clause of a tool turn p50", ("clause_of_tool_turns", "p50")),
    Figure("name of the tool p50", ("call", "p50")),
    Figure("name of the tool p95", ("call", "p95")),
    Figure("inter-token p50", ("gap", "p50")),
    Figure("inter-token p95", ("gap", "p95")),
    Figure("time per output token p50", ("per_token", "p50")),
    Figure("output tokens", ("tokens_per_second",), "/s", lower=False),
    Figure("goodput: requests within the SLO", ("goodput",), "/s", lower=False, digits=2),
    Figure("within the SLO", ("within_slo",), "%", lower=False, scale=100),
    Figure("prompt tokens from the cache", ("cache_hit_ratio",), "%", lower=False, scale=100),
    Figure("tool turns that called it", ("called_the_tool",), "%", lower=False, scale=100),
    Figure("calls whose arguments parse", ("valid_arguments",), "%", lower=False, scale=100),
    Figure("requests", ("requests",), "", lower=False, digits=0),
    Figure("errors", ("errors",), "", digits=0),
    Figure("this program was late by, p99", ("client_lag", "p99")),
)
# Of the load, not of the server: no ratio is drawn.
BARE = {"requests", "errors", "this program was late by, p99", "prompt tokens from the cache"}
ROWS = (
    "TTFT p50", "TTFT p95", "first speakable clause p50", "first piece of a tool turn p50",
    "first clause of a tool turn p50", "name of the tool p50", "inter-token p50", "inter-token p95", "output tokens",
    "within the SLO", "calls whose arguments parse",
)  # fmt: skip


def one(result: Result) -> str:
    """Of a single run, for the terminal."""
    rows = [(figure.name, f"{figure.text(result.summary)} {figure.unit}".strip()) for figure in FIGURES]
    rows.append(("outcomes", ", ".join(f"{count} x {name}" for name, count in result.summary["outcomes"].items())))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def two(ours: Result, theirs: Result) -> str:
    """Markdown. The ratio says how many times better the first is."""
    names = [result.options.get("name", "?") for result in (ours, theirs)]
    head = ["", *names, f"{names[0]} is better by"]
    rows = [
        [f"{figure.name}{f', {figure.unit}' if figure.unit else ''}", figure.text(ours.summary),
         figure.text(theirs.summary), _ratio(figure, ours, theirs)]
        for figure in FIGURES
    ]  # fmt: skip
    return markdown(head, rows)


def by_load(results: Sequence[Result]) -> str:
    """Markdown: pairs of runs at the same load, first ours and then the other; one row for each figure and load."""
    names = list(dict.fromkeys(result.options["name"] for result in results))
    known = {(result.options["calls"], result.options["name"]): result for result in results}
    figures = [figure for figure in FIGURES if figure.name in ROWS]
    rows = []
    for calls in dict.fromkeys(result.options["calls"] for result in results):
        ours, theirs = (known[calls, name] for name in names)
        for figure in figures:
            rows.append(
                [str(calls), f"{figure.name}, {figure.unit}", figure.text(ours.summary), figure.text(theirs.summary),
                 _ratio(figure, ours, theirs)]
            )  # fmt: skip
    return markdown(["calls", "", *names, f"{names[0]} is better by"], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |"
             for row in [head, *rows]]  # fmt: skip
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _ratio(figure: Figure, ours: Result, theirs: Result) -> str:
    ratio = None if figure.name in BARE else figure.ratio(ours.summary, theirs.summary)
    return "" if ratio is None else f"{ratio:.2f}x"
