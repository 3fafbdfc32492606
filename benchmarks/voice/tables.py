"""Figures as text: of one run, of two beside one another, of several loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.voice.noise import Paired, paired
from benchmarks.voice.results import Result, rounds


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
            value = value.get(key)  # a file from before there was such a figure
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


TOKENS = "output tokens"
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
    Figure(TOKENS, ("tokens_per_second",), "/s", lower=False),
    Figure("goodput: requests within the SLO", ("goodput",), "/s", lower=False, digits=2),
    Figure("within the SLO", ("within_slo",), "%", lower=False, scale=100),
    Figure("prompt tokens from the cache", ("cache_hit_ratio",), "%", lower=False, scale=100),
    Figure("tool turns that called it", ("called_the_tool",), "%", lower=False, scale=100),
    Figure("calls whose arguments parse", ("valid_arguments",), "%", lower=False, scale=100),
    Figure("answers with markup in their words", ("markup",), "%", scale=100),
    Figure("processor time of the API process", ("processor",), "ms per token", digits=2),
    Figure("requests", ("requests",), "", lower=False, digits=0),
    Figure("errors", ("errors",), "", digits=0),
    Figure("this program was late by, p99", ("client_lag", "p99")),
)
# Of the load, not of the server: no ratio is drawn.
BARE = {"requests", "errors", "this program was late by, p99", "prompt tokens from the cache"}
ROWS = (
    "TTFT p50", "TTFT p95", "first speakable clause p50", "first piece of a tool turn p50",
    "first clause of a tool turn p50", "name of the tool p50", "inter-token p50", "inter-token p95",
    "time per output token p50", TOKENS, "within the SLO", "calls whose arguments parse",
    "answers with markup in their words", "processor time of the API process",
)  # fmt: skip
SHOWN = tuple(figure for figure in FIGURES if figure.name in ROWS)


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


def comparable(figure: Figure, result: Result) -> bool:
    """Whether more is better: of answers that are as long as the model likes, more tokens are no more speed."""
    return figure.name not in BARE and (figure.name != TOKENS or result.options.get("length") != "free")


def noise(figure: Figure, ours: Result, theirs: Result) -> Paired | None:
    """What the rounds of two runs say of a figure, each round of one beside the same of the other."""
    if not comparable(figure, ours):
        return None
    ratios = [figure.ratio(*pair) for pair in zip(rounds(ours), rounds(theirs), strict=True)]
    return paired([ratio for ratio in ratios if ratio is not None])


def pairs(results: Sequence[Result]) -> list[tuple[int, Result, Result]]:
    """Calls at once, and what two servers came to with them."""
    names = dict.fromkeys(result.options["name"] for result in results)
    known = {(result.options["calls"], result.options["name"]): result for result in results}
    loads = dict.fromkeys(result.options["calls"] for result in results)
    return [(calls, *(known[calls, name] for name in names)) for calls in loads]  # type: ignore[misc]  # of two


def by_load(results: Sequence[Result]) -> str:
    """Markdown: pairs of runs at the same load, first ours and then the other; one row for each figure of a load.

    The last column: what the rounds say of the ratio, and whether that is more than noise.
    """
    rows = [
        [str(calls), f"{figure.name}, {figure.unit}", figure.text(ours.summary), figure.text(theirs.summary),
         _ratio(figure, ours, theirs), _noise(noise(figure, ours, theirs))]
        for calls, ours, theirs in pairs(results)
        for figure in SHOWN
        if any(figure.of(one.summary) is not None for one in (ours, theirs))
    ]  # fmt: skip
    names = list(dict.fromkeys(result.options["name"] for result in results))
    return markdown(["calls", "", *names, f"{names[0]} is better by", "by its rounds"], rows)


def capacities(results: Sequence[Result]) -> str:
    """A line for each server whose capacity was looked for."""
    known = {result.options["name"]: result.options["capacity"] for result in results if "capacity" in result.options}
    return "\n".join(capacity_of(name, found) for name, found in known.items())


def capacity_of(name: str, found: dict[str, Any]) -> str:
    """found: a Capacity, as it is in a file."""
    tried = ", ".join(f"{calls} {'yes' if kept else 'no'}" for calls, kept in found["tried"])
    return f"{name}: {'' if found['bounded'] else 'at least '}{found['calls']} calls within the SLO (tried: {tried})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |"
             for row in [head, *rows]]  # fmt: skip
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _noise(found: Paired | None) -> str:
    return "" if found is None else f"{found.low:.2f} to {found.high:.2f}: {found.verdict}"


def _ratio(figure: Figure, ours: Result, theirs: Result) -> str:
    ratio = figure.ratio(ours.summary, theirs.summary) if comparable(figure, ours) else None
    return "" if ratio is None else f"{ratio:.2f}x"
