"""The Triton kernels against the formula: here under the interpreter, in test_gpu.py on the chip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernels.shared_prefix_attention import reference
from kernels.shared_prefix_attention.launch import Launch
from kernels.shared_prefix_attention.op import Buffers, attend, bytes_moved
from kernels.shared_prefix_attention.plan import Capacity, plan

from .batches import SHAPES, Batch, Tree, make_batch
from .conftest import Attend

LAUNCH = Launch(rows=16, keys=32, warps=4, stages=1, programs=5)


def error_band(batch: Batch, expected: torch.Tensor, cuts: bool = True) -> torch.Tensor:
    """What rounding alone may do, per element of the output.

    Query, key and value are exact. Each weight is rounded to the dtype before it meets its value, which moves the
    result by at most u * sum w |v|; the result is rounded once, u * |out|; u is half the dtype's epsilon, or all of it
    for bf16 where that `cuts` instead of rounding, as the interpreter does. All else is float32: a score is a sum of d
    products and moves its weight by e^(its error), the sums are over n positions.
    """
    cache = batch.cache.clone()
    cache[..., cache.shape[-1] // 2 :].abs_()
    mass = reference.decode(batch.query, cache, batch.table, batch.lengths, batch.scale)
    u = torch.finfo(batch.query.dtype).eps / 2
    u *= 2 if cuts and batch.query.dtype == torch.bfloat16 else 1
    d, n = batch.query.shape[-1], int(batch.lengths.max())
    largest = float(batch.query.float().abs().amax() * cache.float().nan_to_num().abs().amax()) * batch.scale
    single = 2.0**-24 * (2 * d * largest + n + 16)
    return u * (mass + expected.abs()) + 2 * single * mass + torch.finfo(batch.query.dtype).tiny


def check(batch: Batch, interpreted: Attend, launch: Launch = LAUNCH, least: int = 2) -> int:
    capacity = Capacity(len(batch.query), 40 * len(batch.query))
    heads, kv_heads = batch.query.shape[1], batch.cache.shape[1]
    cutting = launch.cutting(heads // kv_heads, kv_heads)
    lengths = batch.lengths.numpy().astype(np.int64)
    work = plan(batch.segments(least), lengths, batch.block_size, cutting, capacity)
    arguments = batch.query, batch.cache, batch.table, batch.lengths
    output = interpreted(*arguments, work, capacity, batch.scale, launch)
    expected = reference.decode(*arguments, batch.scale)
    band = error_band(batch, expected)
    stock = torch.from_numpy(work.stock).bool()
    assert output[stock].isnan().all(), "rows without parts are left alone"
    error = (output.double() - expected).abs()[~stock]
    assert (error <= band[~stock]).all(), float((error / band[~stock]).max())
    return int((~stock).sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str, dtype: torch.dtype, interpreted: Attend) -> None:
    rows = check(make_batch(SHAPES[name], dtype=dtype), interpreted)
    assert rows or name in ("one request", "no sharing")


@pytest.mark.parametrize("heads,kv_heads", [(1, 1), (3, 3), (6, 2), (5, 1), (7, 1), (16, 2), (71, 1)])
def test_any_ratio_of_heads(heads: int, kv_heads: int, interpreted: Attend) -> None:
    launch = Launch(rows=max(16, 1 << (heads // kv_heads - 1).bit_length()), keys=32, warps=4, stages=1, programs=3)
    assert check(make_batch([Tree(2, own=(3, 17))], heads, kv_heads), interpreted, launch)


@pytest.mark.parametrize("head_size", [64, 128, 256])
@pytest.mark.parametrize("block_size", [16, 32, 48])
def test_sizes(head_size: int, block_size: int, interpreted: Attend) -> None:
    assert check(make_batch([Tree(2, own=(3, 50, 1))], head_size=head_size, block_size=block_size), interpreted)


def test_heads_of_a_position_side_by_side(interpreted: Attend) -> None:
    assert check(make_batch(SHAPES["nested"], token_major=True), interpreted)


def test_steps_longer_than_a_block_and_shorter(interpreted: Attend) -> None:
    for keys in (16, 64):
        launch = Launch(rows=32, keys=keys, warps=4, stages=1, programs=2)
        assert check(make_batch(SHAPES["two groups and a loner"]), interpreted, launch)


def test_rows_grow_while_the_plan_stays(interpreted: Attend) -> None:
    """The last item of a row ends where the device says, and items beyond a row's end have no part in it."""
    batch = make_batch([Tree(2, own=(60, 90))])
    capacity, launch = Capacity(2, 80), LAUNCH
    work = plan(batch.segments(), np.array([40, 40]), 16, launch.cutting(2, 2), capacity)
    longer = plan(batch.segments(), np.array([900, 900]), 16, launch.cutting(2, 2), capacity)
    arguments = batch.query, batch.cache, batch.table, batch.lengths
    expected = reference.decode(*arguments, batch.scale)
    for stale in (work, longer):
        output = interpreted(*arguments, stale, capacity, batch.scale, launch)
        assert ((output.double() - expected).abs() <= error_band(batch, expected)).all()


def test_far_scores_do_not_overflow(interpreted: Attend) -> None:
    batch = make_batch([Tree(2, own=(3, 17))])
    check(replace(batch, query=batch.query * 30), interpreted)


def test_wrong_shapes_are_named() -> None:
    batch = make_batch(SHAPES["all shared"], head_size=64)
    buffers = Buffers.make(Capacity(5, 25), 4, 64, torch.device("cpu"))
    output = torch.empty_like(batch.query)
    for query, fault in ((batch.query.float(), "torch.float32"), (batch.query[..., :32], "head size 32")):
        with pytest.raises(ValueError, match=fault):
            attend(query, batch.cache, batch.table, batch.lengths, buffers, output, 1.0, LAUNCH)


def test_bytes_of_the_issue() -> None:
    """64 x (4,096 shared + 512 own), 8 KV heads of 128, bf16: 0.15 GB against 1.2 GB."""
    batch = make_batch([Tree(256, own=(512,) * 64)], heads=1, kv_heads=1, head_size=2)
    lengths = batch.lengths.numpy()
    queries = 2 * 64 * 32 * 128 * 2
    assert bytes_moved(batch.segments(), lengths, 16, 32, 8, 128, 2) == (4096 + 64 * 512) * 4096 + queries
    assert bytes_moved((), lengths, 16, 32, 8, 128, 2) == 64 * 4608 * 4096 + queries
