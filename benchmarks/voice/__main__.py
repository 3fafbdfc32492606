"""Voice conversations against any OpenAI-compatible endpoint.

python -m benchmarks.voice --url http://127.0.0.1:8000/v1 --rate 0.5 --profile support    # open loop
python -m benchmarks.voice --url http://127.0.0.1:8000/v1 --calls 64 --profile support    # always 64 calls at once
python -m benchmarks.voice capacity --url http://127.0.0.1:8000/v1 --profile support      # the most within the SLO
python -m benchmarks.voice compare ours.jsonl theirs.jsonl                                # two files beside one another
python -m benchmarks.voice versus --config configs/h200-8b.yaml --shape qwen3-8b          # us and `vllm serve`, in turn
python -m benchmarks.voice shape qwen3-8b /tmp/qwen3-8b       # a model without weights, for `engine.load_format: dummy`
python -m benchmarks.voice readme                             # the README's tables, from benchmarks/results
"""

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.voice import plots, readme, shapes, tables
from benchmarks.voice.capacity import capacity
from benchmarks.voice.conversation import Manner
from benchmarks.voice.load import Load, Run, drive
from benchmarks.voice.profiles import PROFILES
from benchmarks.voice.results import Result, read, result_of, write
from benchmarks.voice.servers import Endpoint
from benchmarks.voice.summary import Slo, summarize, within
from benchmarks.voice.tool_turn import tool_turn
from benchmarks.voice.versus import Plan, versus

COMMANDS = ("run", "capacity", "compare", "versus", "shape", "readme")


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "run")
    options = _parser().parse_args(words)
    options.command_line = shlex.join(["python", "-m", "benchmarks.voice", *words[words[0] == "run" :]])
    return int(options.act(options))


def run(options: argparse.Namespace) -> int:
    load = Load(options.rate, options.calls, options.duration, options.ramp, options.seed)
    found = measure(options, Endpoint(options.name, options.url), load)
    result = _record(options, Endpoint(options.name, options.url), load, [found])
    print(tables.one(result))
    _keep(options, [result], plots.overview)
    return 0


def find_capacity(options: argparse.Namespace) -> int:
    slo, runs = _slo(options), []
    endpoint = Endpoint(options.name, options.url)

    def keeps(calls: int) -> bool:
        load = Load(None, calls, options.duration, options.ramp, options.seed)
        found = measure(options, endpoint, load)
        runs.append(_record(options, endpoint, load, [found]))
        return within(summarize(found, slo), slo)

    print(tables.capacity_of(options.name, asdict(capacity(keeps, options.most))))
    _keep(options, runs, plots.by_load)
    return 0


def compare(options: argparse.Namespace) -> int:
    ours, theirs = (read(file)[-1] for file in (options.ours, options.theirs))
    print(tables.two(ours, theirs))
    if options.plot:
        plots.overview([ours, theirs], options.plot)
    return 0


def run_versus(options: argparse.Namespace) -> int:
    calls = tuple(int(number) for number in options.calls.split(","))
    plan = Plan(
        options.config,
        options.assignments,
        calls,
        options.rounds,
        options.together,
        options.port,
        options.most,
        options.shape,
    )
    load = Load(None, None, options.duration, options.ramp, options.seed)
    results = versus(
        plan,
        load,
        _slo(options),
        lambda endpoint: print(tool_turn(endpoint.name, endpoint.url, options.model, options.key), flush=True),
        lambda endpoint, at: measure(options, endpoint, at),
        lambda endpoint, at, runs: _record(options, endpoint, at, runs),
    )
    print(tables.by_load(results))
    print(tables.capacities(results))
    _keep(options, results, plots.by_load if len(calls) > 1 else plots.overview)
    return 0


def measure(options: argparse.Namespace, endpoint: Endpoint, load: Load) -> Run:
    manner = Manner(options.model, options.length == "fixed")
    what = f"{load.rate}/s" if load.rate is not None else f"{load.calls} calls"
    with tqdm(unit=" requests", desc=f"{endpoint.name}, {what}", disable=options.quiet) as progress:
        profile, key = PROFILES[options.profile], options.key
        before = endpoint.processor_time()
        found = asyncio.run(drive(endpoint.url, profile, load, manner, key, lambda request: _tick(progress)))
        after = endpoint.processor_time()
        found.processor = after - before if before is not None and after is not None else None
        return found


def _tick(progress: "tqdm[Any]") -> None:
    progress.update()


def _record(options: argparse.Namespace, endpoint: Endpoint, load: Load, runs: list[Run]) -> Result:
    """Several runs of one load count as one, in rounds."""
    for number, run in enumerate(runs):
        for one in run.requests:
            one.round = number
    whole = Run([one for run in runs for one in run.requests], sum(run.uncounted for run in runs))
    whole.lag = [late for run in runs for late in run.lag]
    whole.seconds = sum(run.seconds for run in runs)
    whole.tokens = sum(run.tokens for run in runs)
    whole.processor = sum(run.processor or 0.0 for run in runs) or None
    said = {"name": endpoint.name, "url": endpoint.url, "profile": options.profile, "length": options.length}
    said["processor"] = [run.per_token for run in runs]
    return result_of(
        whole, _slo(options), {**said, "command": options.command_line, "rounds": len(runs), **asdict(load)}
    )


def _keep(options: argparse.Namespace, results: list[Result], draw: Any) -> None:
    if options.out:
        write(options.out, results)
        draw(results, options.out.with_suffix(".png"))
        print(f"{options.out}, {options.out.with_suffix('.png')}")


def _slo(options: argparse.Namespace) -> Slo:
    return Slo(options.slo_first, options.slo_gap)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="command")
    one = _load_command(commands, "run", run)
    _target(one)
    how = one.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, help="new calls in a second, whatever becomes of the others")
    how.add_argument("--calls", type=int, help="calls at once")
    most = _load_command(commands, "capacity", find_capacity)
    _target(most)
    most.add_argument("--most", type=int, default=512, help="calls at once that are tried at most")
    against = _load_command(commands, "versus", run_versus)
    against.add_argument("--config", type=Path, default=Path("configs/nano.yaml"))
    against.add_argument("--set", action="append", default=[], dest="assignments", metavar="NAME=VALUE")
    against.add_argument("--shape", choices=shapes.SHAPES, help="without weights, in place of the configured model")
    against.add_argument("--calls", default="1,16,64,128", help="calls at once, one after the other")
    against.add_argument("--rounds", type=int, default=6, help="six or more tell what is noise")
    against.add_argument("--together", action="store_true", help="both loaded side by side, for a machine with room")
    against.add_argument("--port", type=int, default=8410, help="and with --together the next one")
    against.add_argument("--most", type=int, default=0, help="also find the capacity of both, up to so many calls")
    _file_commands(commands)
    return parser


def _load_command(commands: Any, name: str, act: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name)
    parser.set_defaults(act=act)
    parser.add_argument("--profile", choices=PROFILES, default="support")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds, the ramp included")
    parser.add_argument("--ramp", type=float, default=10.0, help="seconds in which the load grows; they do not count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="electron")
    parser.add_argument("--key", default="any")
    parser.add_argument("--length", choices=("fixed", "free"), default="fixed", help="fixed: min_tokens and ignore_eos")
    parser.add_argument("--slo-first", type=float, default=300.0, help="ms")
    parser.add_argument("--slo-gap", type=float, default=30.0, help="ms")
    parser.add_argument("--out", type=Path, help="JSON lines; a picture of the same name is drawn beside them")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, help="with its version: http://127.0.0.1:8000/v1")
    parser.add_argument("--name", default="server", help="in tables and pictures")


def _file_commands(commands: Any) -> None:
    pair = commands.add_parser("compare")
    pair.set_defaults(act=compare)
    pair.add_argument("ours", type=Path)
    pair.add_argument("theirs", type=Path)
    pair.add_argument("--plot", type=Path)
    shape = commands.add_parser("shape")
    shape.set_defaults(act=lambda options: print(shapes.make(options.shape, options.folder)) or 0)
    shape.add_argument("shape", choices=shapes.SHAPES)
    shape.add_argument("folder", type=Path)
    tables_of = commands.add_parser("readme")
    tables_of.set_defaults(act=lambda options: readme.main(options.check))
    tables_of.add_argument("--check", action="store_true", help="change nothing; status 1 where it is not up to date")


if __name__ == "__main__":
    sys.exit(main())
