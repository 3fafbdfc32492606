"""Pictures of runs: how long callers wait, and when."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from benchmarks.voice.records import BARGE_IN, OK, Request
from benchmarks.voice.results import Result, rounds
from benchmarks.voice.tables import SHOWN, noise, pairs

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def overview(results: Sequence[Result], file: Path) -> None:
    """Four panels; several runs are laid over one another."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    slo = results[0].options["slo"]
    for colour, result in zip(COLOURS, results, strict=False):
        name, heard = str(result.options.get("name", "")), _heard(result)
        _curve(axes[0][0], [one.first for one in heard if not one.tool], name, colour)
        _curve(axes[0][1], [one.clause for one in heard if not one.tool], f"{name}: clause", colour)
        _curve(axes[0][1], [one.call for one in heard if one.tool], f"{name}: name of the tool", colour, style="--")
        _curve(axes[1][0], [gap for one in heard if not one.tool for gap in one.gaps], name, colour)
        points = [(one.at, one.first) for one in heard if one.first is not None]
        axes[1][1].scatter(*zip(*points, strict=True), s=8, alpha=0.5, color=colour, label=name) if points else None
    _shape(axes[0][0], "Time to first token", limit=slo["first"])
    _shape(axes[0][1], "First speakable clause, and name of the tool")
    _shape(axes[1][0], "Inter-token: between pieces of an answer", limit=slo["gap"])
    axes[1][1].set(title="Time to first piece, along the run", xlabel="seconds", ylabel="ms", ylim=(0, None))
    axes[1][1].axhline(slo["first"], color="black", linestyle=":", linewidth=1)
    axes[1][1].legend()
    figure.suptitle(_title(results[0]))
    _save(figure, file)


def by_load(results: Sequence[Result], file: Path) -> None:
    """p95 over calls at once, a line for each server, a point for each round; and how they compare."""
    names = list(dict.fromkeys(one.options["name"] for one in results))
    compared = len(names) == 2 and any(noise(figure, *pair) for _, *pair in pairs(results) for figure in SHOWN)
    widths = (1.0, 1.0, 1.0, 1.3)[: 4 if compared else 3]
    figure, axes = plt.subplots(
        1, len(widths), figsize=(4.5 * sum(widths), 4.8), layout="constrained", width_ratios=widths
    )
    slo = results[0].options["slo"]
    panels = (
        ("TTFT p95, ms", ("first", "p95"), slo["first"]),
        ("Inter-token p95, ms", ("gap", "p95"), slo["gap"]),
        ("Output tokens, /s", ("tokens_per_second",), None),
    )
    for colour, name in zip(COLOURS, names, strict=False):
        mine = sorted((one for one in results if one.options["name"] == name), key=lambda one: one.options["calls"])
        parts = [(one.options["calls"], part) for one in mine for part in rounds(one)]
        for axis, (_, path, _) in zip(axes[:3], panels, strict=True):
            values = [_value(one.summary, path) for one in mine]
            axis.plot([one.options["calls"] for one in mine], values, marker="o", color=colour, label=name)
            axis.scatter([calls for calls, _ in parts], [_value(part, path) for _, part in parts], s=6, color=colour)
    for axis, (title, _, limit) in zip(axes[:3], panels, strict=True):
        if limit is not None:
            axis.axhline(limit, color="black", linestyle=":", linewidth=1, label="SLO")
        axis.set(title=title, xlabel="calls at once", ylim=(0, None))
        axis.legend()
    if compared:
        _ratios(axes[3], results)
    figure.suptitle(_title(results[0]))
    _save(figure, file)


def _ratios(axis: Axes, results: Sequence[Result]) -> None:
    """How many times better the first server is, where there are rounds enough to say how sure that is."""
    loads = pairs(results)
    known = {figure.name: [noise(figure, ours, theirs) for _, ours, theirs in loads] for figure in SHOWN}
    rows = [name for name, found in known.items() if any(found)]
    for column, (colour, (calls, _, _)) in enumerate(zip(COLOURS, loads, strict=False)):
        told = [(row, one) for row, name in enumerate(rows) if (one := known[name][column])]
        bars = [[one.ratio - one.low for _, one in told], [one.high - one.ratio for _, one in told]]
        places = [row + 0.12 * (column - (len(loads) - 1) / 2) for row, _ in told]
        ratios = [one.ratio for _, one in told]
        axis.errorbar(ratios, places, xerr=bars, fmt="o", markersize=4, color=colour, label=f"at {calls}")
    axis.axvline(1.0, color="black", linestyle=":", linewidth=1)
    axis.set(title="Times better than the other (95% interval)", xscale="log", ylim=(len(rows) - 0.5, -0.5))
    for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        ticks(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_yticks(range(len(rows)), rows)
    axis.legend(title="calls at once", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _heard(result: Result) -> list[Request]:
    return [one for one in result.requests if one.outcome in (OK, BARGE_IN)]


def _curve(axis: Axes, values: Iterable[float | None], name: str, colour: str, style: str = "-") -> None:
    """The share of requests, in percent, that had waited no longer."""
    known = sorted(value for value in values if value is not None)
    shares = [100 * (index + 1) / len(known) for index in range(len(known))]
    if known:
        axis.step(known, shares, where="post", label=name, color=colour, linestyle=style)


def _shape(axis: Axes, title: str, limit: float | None = None) -> None:
    axis.set(title=title, xlabel="ms", ylabel="% within", ylim=(0, 101))
    axis.axhline(95, color="grey", linewidth=0.5)
    if axis.lines[:-1]:
        axis.set_xscale("log")
    if limit is not None:
        axis.axvline(limit, color="black", linestyle=":", linewidth=1, label="SLO")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower right")


def _title(result: Result) -> str:
    options, where = result.options, result.environment
    return f"{options.get('profile')}, {where['gpu'] or where['cpu']}, {where['when'][:10]}, commit {where['commit']}"


def _value(summary: dict[str, Any], path: Sequence[str]) -> float | None:
    value: Any = summary
    for key in path:
        value = value[key]
    return value


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    plt.close(figure)
