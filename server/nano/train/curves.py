"""The picture of a training: losses and held-out scores over the tokens seen."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

LOSSES = ("train loss", "loss")
SCORES = ("call exact", "call first", "filler first", "no_tool speaks", "clarify speaks", "json exact", "result tokens")


def draw(history: list[dict[str, float]], picture: Path) -> None:
    """Write `picture` from rows that hold "tokens" and the measures of one evaluation each."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, names in ((left, LOSSES), (right, SCORES)):
        for name in names:
            rows = [(row["tokens"] / 1e6, row[name]) for row in history if name in row]
            axis.plot(*zip(*rows, strict=True), label=name)
        axis.set_xlabel("million tokens, padding included")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    left.set_ylabel("nats per token the assistant says")
    left.set_yscale("log")
    right.set_ylabel("share right, held-out")
    right.set_ylim(0, 1.02)
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)
