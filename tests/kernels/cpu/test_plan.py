"""Any step: every query row is attended once, over exactly the keys it may see, within the memory bound."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cpu import plan

BLOCK = 16
requests = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400)), max_size=12)  # (new rows, keys before them)


def step(sizes: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    new, before = np.array(sizes, dtype=np.int32).reshape(-1, 2).T
    lengths = (new + before).astype(np.int32)
    width = -(-int(lengths.max(initial=1)) // BLOCK)
    table = 1 + np.random.default_rng(0).permutation(len(sizes) * width).reshape(len(sizes), width).astype(np.int32)
    return np.concatenate(([0], np.cumsum(new))).astype(np.int32), lengths, table


def seen_keys(batches: tuple[plan.Batch, ...], window: int | None) -> dict[int, list[int]]:
    """Per query row: the cache slots it sees, in the order of their positions."""
    found: dict[int, list[int]] = {}
    for batch in batches:
        distance = batch.distance()
        slots = (batch.blocks.view(batch.tiles, -1, 1) * BLOCK + torch.arange(BLOCK)).flatten(1)[:, : batch.keys]
        real = range(batch.tiles * batch.rows) if batch.real is None else batch.real.tolist()
        for index in real:
            tile, row = divmod(index, batch.rows)
            near = (
                distance[tile, row] <= 0
                if window is None
                else (distance[tile, row] <= 0) & (distance[tile, row] > -window)
            )
            query = int(batch.query_rows[index])
            assert query not in found
            found[query] = slots[tile][near].tolist()
    return found


@settings(deadline=None, max_examples=60)
@given(requests, st.sampled_from([None, 1, 15, 16, 17, 100]), st.sampled_from([1, 4096]))
def test_every_row_sees_its_keys_once(sizes: list[tuple[int, int]], window: int | None, token_bytes: int) -> None:
    starts, lengths, table = step(sizes)
    found = seen_keys(plan.make_batches(starts, lengths, table, BLOCK, window, token_bytes), window)
    expected = {}
    for request, (new, before) in enumerate(sizes):
        for row in range(new):
            position = before + row
            first = 0 if window is None else max(0, position - window + 1)
            keys = range(first, position + 1)
            expected[int(starts[request]) + row] = [int(table[request, p // BLOCK]) * BLOCK + p % BLOCK for p in keys]
    assert found == expected


@settings(deadline=None, max_examples=60)
@given(requests)
def test_a_batch_of_several_tiles_stays_in_bounds(sizes: list[tuple[int, int]]) -> None:
    token_bytes = 1 << 15
    for batch in plan.make_batches(*step(sizes), BLOCK, None, token_bytes):
        assert batch.tiles == 1 or batch.tiles * batch.keys * token_bytes <= plan.GATHER_BYTES
        assert batch.rows <= plan.TILE_ROWS


@pytest.mark.parametrize("count", [1, 64, 200])
def test_decodes_of_like_length_are_one_batch(count: int) -> None:
    batches = plan.make_batches(*step([(1, 200 + i % 8) for i in range(count)]), BLOCK, None, 16)
    assert len(batches) == 1
    assert batches[0].tiles == count


def test_a_window_gathers_only_its_blocks() -> None:
    (batch,) = plan.make_batches(*step([(1, 10_000)]), BLOCK, 100, 16)
    assert batch.keys <= 100 + BLOCK


def test_no_requests_no_batches() -> None:
    assert plan.make_batches(*step([]), BLOCK, None, 16) == ()
    assert plan.make_batches(*step([(0, 5), (0, 0)]), BLOCK, None, 16) == ()
