"""Decode attention that reads a shared prompt once, against vLLM's own, on the GPU at hand.

    python -m benchmarks.kernels grouping            # the host's part, any machine
    python -m benchmarks.kernels all --out DIR       # everything below, rows and plots into DIR
    python -m benchmarks.kernels attention           # one layer: prefixes, groups, dtypes and head sizes
    python -m benchmarks.kernels sweep               # launch parameters around those that are shipped
    python -m benchmarks.kernels gate                # the table that turns the backend on: gate.json
    python -m benchmarks.kernels engine              # an 8B shape with random weights, on and off
    --dry                                            # smallest sizes, one repeat: does every path run?

Times are medians of replays of a CUDA graph that holds several layers' caches in turn, so that no replay finds its keys
in the L2 cache but those that it has itself put there. `stock` is vLLM's FlashAttention decode. `backend` is what a
layer of ours costs: FlashAttention over the rows that share nothing, our kernels, both in one graph. `must_gb` are the
bytes that must move (`bytes_moved` beside the kernel), `copy_gbs` a device-to-device copy in the same run, bytes read
plus bytes written, and `of_copy` their ratio. Every measured layer is checked against the float64 formula.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kernels.shared_prefix_attention import reference
from kernels.shared_prefix_attention.gate import Gate, Threshold
from kernels.shared_prefix_attention.grouping import Prefixes, Segment, find_segments
from kernels.shared_prefix_attention.launch import Launch, choose
from kernels.shared_prefix_attention.op import Buffers, attend, bytes_moved
from kernels.shared_prefix_attention.plan import Capacity, Cutting, plan
from kernels.shared_prefix_attention.planner import Planner

RESULTS = Path(__file__).parent / "results"
BLOCK = 16
MOST_CACHE = 24 << 30  # bytes of keys and values at once, all copies together


@dataclass(frozen=True)
class Case:
    """groups of `group` calls; in each all share `prefix` positions, and each call has `own` more."""

    groups: int = 1
    group: int = 64
    prefix: int = 4096
    own: int = 512
    heads: int = 32
    kv_heads: int = 8
    head_size: int = 128
    dtype: str = "bfloat16"

    @property
    def rows(self) -> int:
        return self.groups * self.group

    @property
    def position_bytes(self) -> int:
        return 2 * self.kv_heads * self.head_size * 2

    @property
    def cache_bytes(self) -> int:
        return self.position_bytes * (self.groups * self.prefix + self.rows * (self.own + BLOCK))


TARGET = Case()
DRY = Case(groups=1, group=3, prefix=64, own=20, heads=8, kv_heads=2)


def attention_cases() -> Iterator[Case]:
    yield TARGET
    yield replace(TARGET, groups=2, group=32)
    yield replace(TARGET, groups=4, group=16)
    yield from (replace(TARGET, prefix=prefix) for prefix in (0, 256, 512, 1024, 2048, 8192, 16384, 32768 - 512))
    yield from (replace(TARGET, group=group) for group in (1, 2, 4, 8, 16, 32, 128, 256))
    yield from (replace(TARGET, prefix=0, own=own) for own in (1024, 4608))
    yield replace(TARGET, dtype="float16")
    yield from (replace(TARGET, head_size=size) for size in (64, 256))
    yield from (replace(TARGET, heads=heads) for heads in (8, 16, 40, 64))


@dataclass(frozen=True)
class Layer:
    """A case's tensors on the device; `caches`: several, of which a graph uses one after the other."""

    case: Case
    query: torch.Tensor
    caches: list[torch.Tensor]
    table: torch.Tensor
    lengths: torch.Tensor
    segments: tuple[Segment, ...]
    scale: float

    @property
    def host_lengths(self) -> np.ndarray:
        return np.full(self.case.rows, self.case.prefix + self.case.own, np.int64)

    @property
    def must_move(self) -> int:
        case = self.case
        return bytes_moved(self.segments, self.host_lengths, BLOCK, case.heads, case.kv_heads, case.head_size, 2)


def make_layer(case: Case, device: torch.device, seed: int, l2_bytes: int) -> Layer:
    torch.manual_seed(seed)
    table, prefixes = block_table(case, seed)
    dtype = getattr(torch, case.dtype)
    copies = max(1, min(16, 3 * l2_bytes // max(1, case.cache_bytes) + 1, MOST_CACHE // case.cache_bytes))
    shape = int(table.max()) + 1, case.kv_heads, BLOCK, 2 * case.head_size
    caches = [torch.randn(shape, dtype=dtype, device=device) for _ in range(copies)]
    usable = np.full(case.rows, (case.prefix + case.own - 1) // BLOCK)
    segments = find_segments(prefixes, np.arange(case.rows), usable, lambda *_: True, 2) if case.prefix else ()
    return Layer(
        case,
        torch.randn(case.rows, case.heads, case.head_size, dtype=dtype, device=device),
        caches,
        torch.from_numpy(table).to(device),
        torch.full((case.rows,), case.prefix + case.own, dtype=torch.int32, device=device),
        segments,
        case.head_size**-0.5,
    )


def block_table(case: Case, seed: int) -> tuple[np.ndarray, Prefixes]:
    """Blocks in random places, as after hours of service."""
    shared, own = case.prefix // BLOCK, -(-(case.prefix + case.own) // BLOCK) - case.prefix // BLOCK
    ids = iter(np.random.default_rng(seed).permutation(case.groups * shared + case.rows * own).astype(np.int32) + 1)
    table = np.empty((case.rows, shared + own), np.int32)
    for group in range(case.groups):
        table[group * case.group : (group + 1) * case.group, :shared] = [next(ids) for _ in range(shared)]
    table[:, shared:] = [[next(ids) for _ in range(own)] for _ in range(case.rows)]
    prefixes = Prefixes(case.rows, table.shape[1])
    for row, blocks in enumerate(table):
        prefixes.put(row, blocks)
    return table, prefixes


class Stock:
    """vLLM's FlashAttention decode as its backend calls it inside a CUDA graph."""

    SPLITS = 32  # vLLM's flash_attn_max_num_splits_for_cuda_graph

    def __init__(self, layer: Layer, lengths: torch.Tensor) -> None:
        from vllm.v1.attention.backends import fa_utils

        self._call, self._layer, self._lengths = fa_utils.flash_attn_varlen_func, layer, lengths
        self.version = fa_utils.get_flash_attn_version(head_size=layer.case.head_size)
        rows, case = layer.case.rows, layer.case
        self._starts = torch.arange(rows + 1, dtype=torch.int32, device=lengths.device)
        self._longest = int(layer.lengths.max())
        self._schedule = None
        if self.version == 3:
            self._schedule = fa_utils.get_scheduler_metadata(
                batch_size=rows,
                max_seqlen_q=1,
                max_seqlen_k=self._longest,
                num_heads_q=case.heads,
                num_heads_kv=case.kv_heads,
                headdim=case.head_size,
                cache_seqlens=lengths,
                qkv_dtype=layer.query.dtype,
                cu_seqlens_q=self._starts,
                page_size=BLOCK,
                causal=True,
                window_size=(-1, -1),
                num_splits=self.SPLITS,
            )

    def __call__(self, cache: torch.Tensor, output: torch.Tensor) -> None:
        key, value = cache.transpose(1, 2).split(self._layer.case.head_size, dim=-1)
        self._call(
            q=self._layer.query,
            k=key,
            v=value,
            out=output,
            cu_seqlens_q=self._starts,
            max_seqlen_q=1,
            seqused_k=self._lengths,
            max_seqlen_k=self._longest,
            softmax_scale=self._layer.scale,
            causal=True,
            window_size=[-1, -1],
            block_table=self._layer.table,
            scheduler_metadata=self._schedule,
            fa_version=self.version,
            num_splits=self.SPLITS if self.version == 3 else 0,
        )


class Ours:
    """Our kernels alone, with the work list of the layer's segments."""

    def __init__(self, layer: Layer, launch: Launch | None = None) -> None:
        case, device = layer.case, layer.query.device
        processors = torch.cuda.get_device_properties(device).multi_processor_count
        group = case.heads // case.kv_heads
        self.launch = launch or choose(group, case.head_size, processors)
        capacity = Capacity.of(case.rows)
        self.buffers = Buffers.make(capacity, case.heads, case.head_size, device)
        cutting = self.launch.cutting(group, case.kv_heads)
        self.work = plan(layer.segments, layer.host_lengths, BLOCK, cutting, capacity)
        self.buffers.load(self.work)
        self._layer = layer

    def __call__(self, cache: torch.Tensor, output: torch.Tensor) -> None:
        layer = self._layer
        attend(layer.query, cache, layer.table, layer.lengths, self.buffers, output, layer.scale, self.launch)


class Both:
    """A layer of our backend: the stock kernel has length 0 for the rows that are ours."""

    def __init__(self, layer: Layer) -> None:
        self._ours = Ours(layer)
        self._stock = Stock(layer, layer.lengths * self._ours.buffers.stock[: layer.case.rows])

    def __call__(self, cache: torch.Tensor, output: torch.Tensor) -> None:
        self._stock(cache, output)
        self._ours(cache, output)


class Cascade:
    """FlashInfer's two-level cascade over the same table, key and value in its own layout."""

    def __init__(self, layer: Layer) -> None:
        from flashinfer.cascade import MultiLevelCascadeAttentionWrapper

        case, device = layer.case, layer.query.device
        workspace = torch.empty(256 << 20, dtype=torch.uint8, device=device)
        self._wrapper = MultiLevelCascadeAttentionWrapper(2, workspace, "NHD")
        ints = {"dtype": torch.int32, "device": device}
        shared, blocks = case.prefix // BLOCK, layer.table.shape[1]
        own = blocks - shared
        leads = layer.table[:: case.group, :shared].reshape(-1).int()
        self._wrapper.plan(
            [torch.arange(case.groups + 1, **ints) * case.group, torch.arange(case.rows + 1, **ints)],
            [torch.arange(case.groups + 1, **ints) * shared, torch.arange(case.rows + 1, **ints) * own],
            [leads, layer.table[:, shared:].reshape(-1).int()],
            [torch.full((case.groups,), BLOCK, **ints), torch.full((case.rows,), (case.own - 1) % BLOCK + 1, **ints)],
            case.heads,
            case.kv_heads,
            case.head_size,
            BLOCK,
            sm_scale=layer.scale,
            q_data_type=layer.query.dtype,
        )
        self._query = layer.query
        self._caches = {
            id(cache): tuple(part.contiguous() for part in cache.transpose(1, 2).chunk(2, dim=-1))
            for cache in layer.caches
        }

    def __call__(self, cache: torch.Tensor, output: torch.Tensor) -> None:
        output.copy_(self._wrapper.run(self._query, self._caches[id(cache)]))


Run = Callable[[torch.Tensor, torch.Tensor], None]


def microseconds(layer: Layer, run: Run, repeats: int) -> tuple[float, float, float]:
    """Of one layer: p20, p50, p80 over replays. Warm up, capture one call for each cache, replay."""
    outputs = [torch.full_like(layer.query, torch.nan) for _ in layer.caches]

    def all_caches() -> None:
        for cache, output in zip(layer.caches, outputs, strict=True):
            run(cache, output)

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            all_caches()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        all_caches()
    times = []
    for _ in range(repeats + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / len(layer.caches))
    times = sorted(times[3:])
    return times[len(times) // 5], statistics.median(times), times[len(times) * 4 // 5]


def relative_error(layer: Layer, run: Run) -> float:
    """||out - reference|| / ||reference|| of the first, a middle and the last row; NaN where nothing was written."""
    output = torch.full_like(layer.query, torch.nan)
    run(layer.caches[0], output)
    rows = sorted({0, layer.case.rows // 2, layer.case.rows - 1})
    chosen = layer.query[rows], layer.caches[0], layer.table[rows], layer.lengths[rows]
    expected = reference.decode(*chosen, layer.scale)
    return float((output[rows].double() - expected).norm() / expected.norm())


def copy_bandwidth(device: torch.device, size: int, repeats: int) -> float:
    """GB/s of a copy, bytes read plus bytes written."""
    source = torch.randint(-(2**31), 2**31 - 1, (size // 4,), dtype=torch.int32, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(repeats + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        target.copy_(source)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return 2 * size / max(statistics.median(times[3:]), 1e-9) / 1e9


def measure(case: Case, device: torch.device, copy_gbs: float, repeats: int, seed: int) -> dict[str, Any]:
    layer = make_layer(case, device, seed, torch.cuda.get_device_properties(device).L2_cache_size)
    runs: dict[str, Callable[[], Run]] = {"stock": lambda: Stock(layer, layer.lengths), "backend": lambda: Both(layer)}
    if layer.segments:
        runs |= {"kernel": lambda: Ours(layer), "flashinfer": lambda: Cascade(layer)}
    row: dict[str, Any] = {"what": "attention", **asdict(case), "rows": case.rows, "must_gb": layer.must_move / 1e9}
    for name, make in runs.items():
        try:
            run = make()
            low, middle, high = microseconds(layer, run, repeats)
        except (ImportError, RuntimeError, OSError) as error:
            if name != "flashinfer":  # a rival that need not be there
                raise
            row["flashinfer"] = f"not available: {type(error).__name__}: {error}"[:200]
            continue
        row |= {f"{name}_us": middle, f"{name}_us_p20": low, f"{name}_us_p80": high}
        row[f"{name}_error"] = relative_error(layer, run)
        row[f"{name}_gbs"] = layer.must_move / 1e3 / middle if middle else 0.0
        row[f"{name}_of_copy"] = row[f"{name}_gbs"] / copy_gbs
    row |= {"copy_gbs": copy_gbs, "speedup": row["stock_us"] / row["backend_us"] if row["backend_us"] else 0.0}
    return row


def sweep(case: Case, device: torch.device, repeats: int, seed: int) -> Iterator[dict[str, Any]]:
    """One parameter at a time, and rows with warps."""
    layer = make_layer(case, device, seed, torch.cuda.get_device_properties(device).L2_cache_size)
    shipped = Ours(layer).launch
    neighbours = {shipped, *(replace(shipped, stages=stages) for stages in (1, 3, 4))}
    neighbours |= {replace(shipped, keys=keys) for keys in (shipped.keys // 2, shipped.keys * 2)}
    neighbours |= {replace(shipped, rows=128, warps=8), replace(shipped, rows=128, warps=8, stages=3)}
    neighbours |= {replace(shipped, programs=shipped.programs * factor // 2) for factor in (1, 3, 4, 6)}
    for launch in sorted(neighbours, key=astuple_of):
        try:
            run = Ours(layer, launch)
            low, middle, high = microseconds(layer, run, repeats)
            row = {"us": middle, "us_p20": low, "us_p80": high, "error": relative_error(layer, run)}
        except Exception as error:  # too much shared memory, most likely: a row of the result as well
            row = {"failed": f"{type(error).__name__}: {error}"[:200]}
        yield {"what": "sweep", **asdict(launch), "shipped": launch == shipped, **row}


def astuple_of(launch: Launch) -> tuple[int, ...]:
    return tuple(asdict(launch).values())


def measure_gate(device: torch.device, copy_gbs: float, repeats: int, dry: bool) -> Gate:
    """For each group size the shortest prefix from which on every longer one was faster by 3% or more."""
    thresholds = []
    sizes, prefixes = ((1, 2), (64,)) if dry else ((2, 4, 8, 16, 32, 64, 128), (256, 512, 1024, 2048, 4096, 8192))
    for group in sizes:
        shortest = None
        for prefix in sorted(prefixes, reverse=True):
            case = replace(DRY if dry else TARGET, group=group, prefix=prefix)
            row = measure(case, device, copy_gbs, repeats, seed=group * prefix)
            report(row)
            if row["speedup"] < 1.03 and not dry:
                break
            shortest = prefix
        if shortest is not None:
            thresholds.append(Threshold(group, shortest))
    return Gate(torch.cuda.get_device_name(device), tuple(thresholds))


def grouping(dry: bool) -> Iterator[dict[str, Any]]:
    """The host's part of a step, 256 calls."""
    for name, groups, prefix in (("one prompt", 1, 4096), ("four prompts", 4, 4096), ("long prompts", 2, 30_000)):
        for part, segments, times in host_parts(groups, prefix, requests=256, repeats=3 if dry else 200):
            row = {"what": "grouping", "case": name, "part": part, "requests": 256, "segments": segments}
            yield row | {"us_best": min(times), "us": statistics.median(times)}


def host_parts(groups: int, prefix: int, requests: int, repeats: int) -> Iterator[tuple[str, int, list[float]]]:
    """µs: join, of one request; group, of a changed batch; cut, its work list; same, a step that changes nothing."""
    table, _ = block_table(Case(groups=groups, group=requests // groups, prefix=prefix), seed=0)
    prefixes, slots = Prefixes(requests, table.shape[1]), np.arange(requests)
    joins = [timed(partial(prefixes.put, slot, table[slot])) for slot in range(requests)]
    lengths = np.full(requests, prefix + 512, np.int64)
    cutting = Cutting(units=33, tile=16, keys=64, shared_cost=1.0, least=4)
    capacity = Capacity.of(requests)
    planner = Planner(Gate("", (Threshold(2, BLOCK),)), BLOCK, cutting, capacity)
    planner.step(prefixes, slots, lengths)
    find = partial(find_segments, prefixes, slots, (lengths - 1) // BLOCK, lambda *_: True, 2)
    cut = partial(plan, find(), lengths, BLOCK, cutting, capacity)
    yield "join", len(planner.segments), joins
    for part, work in (("group", find), ("cut", cut), ("same", partial(planner.step, prefixes, slots, lengths))):
        yield part, len(planner.segments), [timed(work) for _ in range(repeats)]


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e6


def report(row: dict[str, Any]) -> None:
    print(
        "  ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items())
    )


def facts(device: torch.device | None) -> dict[str, Any]:
    import triton
    import vllm

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    versions = {"torch": torch.__version__, "triton": triton.__version__, "vllm": vllm.__version__}
    name = torch.cuda.get_device_name(device) if device else "no GPU"
    return {"device": name, **versions, "commit": commit.stdout.strip() or "unknown"}


def engine(out: Path, gate: Path, dry: bool) -> Iterator[dict[str, Any]]:
    """Each setting in a process of its own: vLLM gives the memory of one back only at its end."""
    calls = [1] if dry else [1, 16, 64, 128]
    prefixes = [64] if dry else [1024, 4096, 16384]
    for on in (False, True):
        command = [sys.executable, "-m", "benchmarks.kernels_engine", "--out", str(out / "engine.jsonl")]
        command += ["--calls", *map(str, calls), "--prefixes", *map(str, prefixes)]
        command += (["--gate", str(gate)] if on else []) + (["--dry"] if dry else [])
        (out / "engine.jsonl").unlink(missing_ok=True)
        subprocess.run(command, check=True)
        yield from map(json.loads, (out / "engine.jsonl").read_text().splitlines())
    (out / "engine.jsonl").unlink(missing_ok=True)


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    from matplotlib.figure import Figure

    attention = [row for row in rows if row["what"] == "attention"]
    usual = {"heads": 32, "head_size": 128, "dtype": "bfloat16", "own": 512, "groups": 1}
    alike = [row for row in attention if all(row[key] == value for key, value in usual.items())]
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axis, x, fixed in zip(
        figure.subplots(1, 2), ("prefix", "group"), (("group", 64), ("prefix", 4096)), strict=True
    ):
        line = sorted((row for row in alike if row[fixed[0]] == fixed[1]), key=lambda row: row[x])
        for name in ("stock", "backend", "flashinfer"):
            points = [(row[x], row[f"{name}_us"]) for row in line if f"{name}_us" in row]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(xlabel=f"{x} ({fixed[0]} {fixed[1]})", ylabel="µs per layer", ylim=(0, None))
        axis.legend()
    figure.savefig(out / "kernels_attention.svg")
    engines = [row for row in rows if row["what"] == "engine"]
    if engines:
        prefixes = sorted({row["prefix"] for row in engines})
        figure = Figure(figsize=(4 * len(prefixes), 4), layout="constrained")
        for axis, prefix in zip(np.ravel(figure.subplots(1, len(prefixes))), prefixes, strict=True):
            for on in (False, True):
                line = [row for row in engines if row["prefix"] == prefix and row["on"] == on]
                axis.plot(
                    [r["calls"] for r in line], [r["itl_ms"] for r in line], marker="o", label="on" if on else "off"
                )
            axis.set(title=f"{prefix} shared", xlabel="calls", ylabel="ms between tokens", ylim=(0, None))
            axis.legend()
        figure.savefig(out / "kernels_engine.svg")


def write(rows: Iterable[dict[str, Any]], path: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Row by row: what was measured before a lease ended is kept."""
    kept = []
    with path.open("a") as file:
        for row in rows:
            report(row)
            kept.append({**row, **about})
            file.write(json.dumps(kept[-1]) + "\n")
            file.flush()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["grouping", "attention", "sweep", "gate", "engine", "all"])
    parser.add_argument("--out", type=Path, default=RESULTS, help="for rows, plots and gate.json")
    parser.add_argument("--gate", type=Path, help="for `engine`: a table measured before")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--dry", action="store_true")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    repeats = 1 if asked.dry else asked.repeats
    if asked.part == "grouping":
        write(grouping(asked.dry), asked.out / "kernels_grouping.jsonl", facts(None))
        return
    if not torch.cuda.is_available():
        parser.error("this needs an NVIDIA GPU; `grouping` does not")
    device = torch.device("cuda", 0)
    about, path, rows = facts(device), asked.out / "kernels.jsonl", []
    parts = ["grouping", "attention", "sweep", "gate", "engine"] if asked.part == "all" else [asked.part]
    copy_gbs = copy_bandwidth(device, (64 << 20) if asked.dry else (4 << 30), repeats)
    gate = asked.gate or asked.out / "gate.json"
    seeds = iter(range(1000))
    for part in parts:
        if part == "grouping":
            rows += write(grouping(asked.dry), path, about)
        elif part == "attention":
            cases = [DRY, replace(DRY, groups=2), replace(DRY, prefix=0)] if asked.dry else attention_cases()
            rows += write((measure(case, device, copy_gbs, repeats, next(seeds)) for case in cases), path, about)
        elif part == "sweep":
            rows += write(sweep(DRY if asked.dry else TARGET, device, repeats, next(seeds)), path, about)
        elif part == "gate":
            gate.write_text(json.dumps(asdict(measure_gate(device, copy_gbs, repeats, asked.dry)), indent=1) + "\n")
            torch.cuda.empty_cache()
        elif part == "engine":
            rows += write(engine(asked.out, gate, asked.dry), path, about)
    plot(rows, asked.out)


if __name__ == "__main__":
    main()
