"""On the chip: fresh random inputs, poisoned outputs, the sizes of real steps, a CUDA graph.

Collected where PyTorch sees an NVIDIA GPU, and nowhere else: `conftest.py` leaves this file out and says so in the
report's head. The same kernels are tested on any machine in test_kernel.py.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernels.shared_prefix_attention import reference
from kernels.shared_prefix_attention.grouping import find_segments
from kernels.shared_prefix_attention.launch import choose
from kernels.shared_prefix_attention.op import Buffers, attend
from kernels.shared_prefix_attention.plan import Capacity, plan

from .batches import SHAPES, Batch, Tree, make_batch
from .test_kernel import error_band

BIG = [
    Tree(64, own=tuple(range(1, 1000, 37)), below=(Tree(40, own=(200,) * 20), Tree(3, own=(17,) * 5))),
    Tree(0, own=(900,)),
]


def on_gpu(batch: Batch) -> Batch:
    names = ("query", "cache", "table", "lengths")
    return replace(batch, **{name: getattr(batch, name).cuda() for name in names})


class Step:
    """A batch on the GPU, ready to run again and again."""

    def __init__(self, batch: Batch) -> None:
        rows, heads, head_size = batch.query.shape
        kv_heads = batch.cache.shape[1]
        group = heads // kv_heads
        self.launch = choose(group, head_size, torch.cuda.get_device_properties(0).multi_processor_count)
        self.capacity = Capacity.of(rows)
        self.cutting = self.launch.cutting(group, kv_heads)
        self.batch = on_gpu(batch)
        self.buffers = Buffers.make(self.capacity, heads, head_size, torch.device("cuda"))
        self.buffers.out_parts.fill_(torch.nan)
        self.buffers.lse_parts.fill_(torch.nan)
        self.output = torch.empty_like(self.batch.query)

    def load(self, least: int = 2) -> torch.Tensor:
        """Which rows are covered."""
        batch = self.batch
        lengths = batch.lengths.cpu().numpy().astype(np.int64)
        usable = (lengths - 1) // batch.block_size
        segments = find_segments(batch.prefixes, batch.slots, usable, lambda *_: True, least)
        work = plan(segments, lengths, batch.block_size, self.cutting, self.capacity)
        self.buffers.load(work)
        return torch.from_numpy(work.stock) == 0

    def run(self) -> None:
        batch = self.batch
        attend(
            batch.query, batch.cache, batch.table, batch.lengths, self.buffers, self.output, batch.scale, self.launch
        )

    def check(self, covered: torch.Tensor) -> None:
        batch = self.batch
        expected = reference.decode(batch.query, batch.cache, batch.table, batch.lengths, batch.scale).cpu()
        band = error_band(batch, expected.cuda(), cuts=False).cpu()
        output = self.output.cpu()
        assert output[~covered].isnan().all()
        assert ((output.double() - expected).abs() <= band)[covered].all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    "heads,kv_heads,head_size", [(32, 8, 128), (8, 8, 64), (10, 2, 128), (16, 2, 256), (71, 1, 64)]
)
@pytest.mark.parametrize("name", [*SHAPES, "big"])
def test_shapes(name: str, heads: int, kv_heads: int, head_size: int, dtype: torch.dtype) -> None:
    tree = BIG if name == "big" else SHAPES[name]
    seed = int(torch.randint(2**31, ()))
    step = Step(make_batch(tree, heads, kv_heads, head_size, dtype=dtype, seed=seed, token_major=bool(seed % 2)))
    covered = step.load()
    step.output.fill_(torch.nan)
    step.run()
    step.check(covered)


def test_a_graph_follows_the_list_in_memory() -> None:
    """Captured with nothing to do, replayed with several lists."""
    step = Step(make_batch(BIG, 32, 8, 128, dtype=torch.bfloat16))
    step.run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.run()
    for least in (2, 10, 30, 1000, 2):
        covered = step.load(least)
        step.output.fill_(torch.nan)
        graph.replay()
        step.check(covered)


def test_the_same_input_gives_the_same_bits() -> None:
    """An error that moves between runs would be a race."""
    step = Step(make_batch(BIG, 32, 8, 128, dtype=torch.bfloat16))
    step.load()
    outputs = []
    for _ in range(20):
        step.output.fill_(torch.nan)
        step.run()
        outputs.append(step.output.view(torch.int16).clone())
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_far_blocks() -> None:
    """Offsets beyond 2^31 elements."""
    batch = make_batch([Tree(3, own=(20, 30))], 8, 8, 128, dtype=torch.bfloat16)
    far = torch.full((140_000, *batch.cache.shape[1:]), torch.nan, dtype=batch.cache.dtype, device="cuda")
    shift = len(far) - len(batch.cache)
    far[shift:] = batch.cache.cuda()
    step = Step(replace(batch, table=batch.table + shift))
    step.batch = replace(step.batch, cache=far)
    covered = step.load()
    step.output.fill_(torch.nan)
    step.run()
    step.check(covered)
