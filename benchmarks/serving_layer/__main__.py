"""The cost of the serving layer, beside vLLM's own front ends over the same engine core, in interleaved rounds.

python -m benchmarks.serving_layer                                  # everything; about half an hour on 2 cores
python -m benchmarks.serving_layer --save serving-layer             # likewise, and the README's table and plot
python -m benchmarks.serving_layer --rounds 1 --cells plain/32 --only ours rust   # while developing
python -m benchmarks.serving_layer --cells plain/256 --only ours two   # what a second process changes
"""

import argparse
import shlex
import signal
import statistics
import sys
from pathlib import Path
from typing import Any, cast, get_args

import orjson
from transformers import AutoTokenizer

from benchmarks.serving_layer.report import RESULTS, fill_readme, markdown
from benchmarks.serving_layer.subjects import NAMES, Name, Subject, started
from benchmarks.serving_layer.workload import Kind, conversation, system_prompt
from benchmarks.voice.environment import environment
from benchmarks.voice.servers import scratch
from server.nano import model_path

TURNS = {1: 8, 32: 4, 128: 2, 256: 1}  # measured, by concurrency; a turn before them fills the prefix cache
CELLS: list[tuple[Kind, int]] = [(kind, concurrency) for kind in get_args(Kind) for concurrency in TURNS]
WARM_UP: list[tuple[Kind, int]] = [("plain", 8), ("tools", 8)]


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end with this
    tokenizer = AutoTokenizer.from_pretrained(str(model_path()))
    system = system_prompt(lambda text: len(tokenizer.encode(text)))
    rows: list[dict[str, Any]] = []
    command = shlex.join(["python", "-m", "benchmarks.serving_layer", *sys.argv[1:]])
    head = {"environment": environment(), "command": command}
    with scratch() as folder, started(options.only, folder, options.port, options.set) as subjects:
        for round_ in range(options.rounds + 1):  # the first is not counted: imports, pools, caches
            for kind, concurrency in options.cells if round_ else WARM_UP:
                for subject in subjects[round_ % len(subjects) :] + subjects[: round_ % len(subjects)]:
                    row = measure(subject, system, round_, concurrency, kind)
                    if round_:
                        rows.append(row)
                        print(line(row), flush=True)
            if options.save:  # as far as it has come
                file = RESULTS / f"{options.save}.jsonl"
                file.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in [head, *rows]))
    print(markdown(rows))
    if options.save:
        fill_readme()


def measure(subject: Subject, system: str, round_: int, concurrency: int, kind: Kind) -> dict[str, Any]:
    """One cell: so many conversations at once, whose turns after the first are counted. Times in milliseconds."""
    turns = TURNS.get(concurrency, 4)
    first = 100_000 * round_ + 1000 * concurrency + (500 if kind == "tools" else 0)
    talks = [conversation(system, first + n, turns + 1, kind, "electron") for n in range(concurrency)]
    subject.run([bodies[:1] for bodies in talks])
    results, cpu = subject.run([bodies[1:] for bodies in talks])
    return {
        "subject": subject.name,
        "round": round_,
        "concurrency": concurrency,
        "kind": kind,
        "tokens": results.tokens,
        "cached": results.cached / len(results.ttfts),
        "tokens_per_arrival": results.tokens / results.arrivals,
        "rate": results.tokens / results.seconds,
        "cpu": 1e6 * cpu / results.tokens,
        "load_cpu": 1e6 * results.cpu / results.tokens,
        "ttft_p50": 1000 * quantile(results.ttfts, 0.5),
        "ttft_p99": 1000 * quantile(results.ttfts, 0.99),
        "gap_p50": 1000 * quantile(results.gaps, 0.5),
        "gap_p99": 1000 * quantile(results.gaps, 0.99),
    }


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def line(row: dict[str, Any]) -> str:
    figures = ("rate", "cpu", "load_cpu", "ttft_p50", "ttft_p99", "gap_p50", "gap_p99", "tokens_per_arrival", "cached")
    name = NAMES[row["subject"]]
    return f"{row['round']} {row['kind']:5} {row['concurrency']:3} {name:27} " + " ".join(
        f"{figure} {row[figure]:.1f}" for figure in figures
    )


def _cell(text: str) -> tuple[Kind, int]:
    kind, concurrency = text.split("/")
    if kind not in get_args(Kind):
        raise argparse.ArgumentTypeError(f"expected one of {get_args(Kind)}, got {kind}")
    return cast(Kind, kind), int(concurrency)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--cells", nargs="+", type=_cell, default=CELLS, metavar="KIND/CONVERSATIONS", help="plain/32, tools/128, …"
    )
    parser.add_argument("--only", nargs="+", choices=get_args(Name), default=[name for name in NAMES if name != "two"])
    parser.add_argument("--port", type=int, default=8400, help="the first of as many as there are to measure")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of our server")
    parser.add_argument("--save", type=Path, help="name of the files in benchmarks/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
