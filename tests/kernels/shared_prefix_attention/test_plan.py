"""A work list covers every position of every row that shares, once; and it fits."""

import heapq

import numpy as np
import pytest
import torch

from kernels.shared_prefix_attention import reference
from kernels.shared_prefix_attention.gate import Gate, Threshold
from kernels.shared_prefix_attention.grouping import covered
from kernels.shared_prefix_attention.launch import Launch, choose
from kernels.shared_prefix_attention.plan import Capacity, Cutting, Work, plan
from kernels.shared_prefix_attention.planner import GROWTH, Planner

from .batches import SHAPES, Batch, Tree, make_batch

CUTTING = Cutting(units=3, tile=4, keys=16, shared_cost=2.0, least=1)


def make(batch: Batch, cutting: Cutting = CUTTING, slots: int = 400) -> Work:
    capacity = Capacity(len(batch.query), slots)
    return plan(batch.segments(), batch.lengths.numpy().astype(np.int64), batch.block_size, cutting, capacity)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("slots", [400, 100])
def test_every_position_once(name: str, slots: int) -> None:
    batch = make_batch(SHAPES[name])
    work = make(batch, slots=slots)
    owner = dict(
        zip(work.parts.tolist(), np.repeat(np.arange(len(batch.query)), np.diff(work.part_start)), strict=True)
    )
    seen = [np.zeros(n, int) for n in batch.lengths.tolist()]
    for lead, first, last, start, count, slot in work.items.tolist():
        members = work.members[start : start + count].tolist()
        assert 1 <= count <= CUTTING.tile
        for i, row in enumerate(members):
            assert owner.pop(slot + i) == row
            assert (
                batch.table[row, first // 16 : min(last, len(seen[row])) // 16]
                == batch.table[lead, first // 16 : min(last, len(seen[row])) // 16]
            ).all()
            seen[row][first:last] += 1
    assert not owner
    shares = covered(batch.segments(), len(seen)) > 0
    assert all((times == shares[row]).all() for row, times in enumerate(seen))
    assert (work.stock == ~shares).all()
    assert len(work.parts) <= slots


@pytest.mark.parametrize("name", SHAPES)
def test_the_list_computes_attention(name: str) -> None:
    """Float64 throughout: what is left is the order of summation."""
    batch = make_batch(SHAPES[name], heads=6, kv_heads=2)
    arguments = batch.query, batch.cache, batch.table, batch.lengths
    expected = reference.decode(*arguments, batch.scale)
    parted = reference.shared_prefix_decode(*arguments, batch.segments(), batch.scale)
    torch.testing.assert_close(parted, expected, rtol=1e-12, atol=1e-12)
    for row, out in reference.run_work(*arguments, make(batch), batch.scale).items():
        torch.testing.assert_close(out, expected[row], rtol=1e-12, atol=1e-12)


def test_the_buffer_holds_the_list_and_nothing_of_the_one_before() -> None:
    capacity = Capacity(24, 200)
    buffer = np.full(sum(capacity.sizes), -1, np.int32)
    for name in ("a group larger than a tile", "nested", "no sharing"):
        batch = make_batch(SHAPES[name])
        work = make(batch, slots=200)
        work.write(buffer, capacity)
        header, items, members, part_start, parts, stock = np.split(buffer, np.cumsum(capacity.sizes)[:-1])
        assert header[:2].tolist() == [work.shared, len(work.items)]
        assert (items[: work.items.size] == work.items.ravel()).all() and (
            members[: len(work.members)] == work.members
        ).all()
        rows = len(batch.query)
        assert (np.diff(part_start)[rows:] == 0).all() and (stock[rows:] == 1).all()
        assert (parts[: part_start[rows]] == work.parts).all()


def test_items_are_of_about_equal_time() -> None:
    """64 calls, 4,096 shared and 512 own, on 132 processors, each program free taking the next: all end together."""
    launch = choose(group=4, head_size=128, processors=132)
    rows = make_batch([Tree(256, own=(512,) * 64)], heads=1, kv_heads=1, head_size=2)
    cutting = launch.cutting(group=4, kv_heads=8)
    work = make(rows, cutting, slots=16 * 64)
    steps = (np.minimum(work.items[:, 2], 4608) - work.items[:, 1]) / launch.keys
    steps[: work.shared] *= cutting.shared_cost
    programs = [0.0] * launch.programs
    for unit in np.repeat(steps, 8).tolist():
        heapq.heapreplace(programs, programs[0] + unit)
    assert max(programs) < 1.35 * np.mean(programs)


@pytest.mark.parametrize("group", [1, 2, 3, 5, 7, 8, 16, 71])
def test_any_ratio_has_a_tile(group: int) -> None:
    assert choose(group, 128, 132).tile(group) >= 1


class TestPlanner:
    GATE = Gate("a GPU", (Threshold(2, 32),))

    def make(self, batch: Batch) -> Planner:
        launch = Launch(rows=16, keys=16, warps=1, stages=1, programs=4)
        return Planner(self.GATE, 16, launch.cutting(2, 2), Capacity(len(batch.query), 400))

    def test_the_same_requests_are_not_planned_again(self) -> None:
        batch = make_batch(SHAPES["nested"])
        planner, lengths = self.make(batch), batch.lengths.numpy().astype(np.int64)
        assert planner.step(batch.prefixes, batch.slots, lengths) is not None
        assert planner.step(batch.prefixes, batch.slots, lengths + 1) is None
        assert planner.step(batch.prefixes, batch.slots, lengths + GROWTH) is not None
        assert planner.shared_rows and planner.saved_positions

    def test_another_request_in_the_same_slot_is(self) -> None:
        batch = make_batch([Tree(3, own=(5, 5))])
        planner, lengths = self.make(batch), batch.lengths.numpy().astype(np.int64)
        assert planner.step(batch.prefixes, batch.slots, lengths) is not None
        batch.prefixes.put(0, [90, 91, 92, 93])
        work = planner.step(batch.prefixes, batch.slots, lengths)
        assert work is not None and not len(work.items) and work.stock.all()

    def test_where_nothing_is_shared_nothing_is_sent(self) -> None:
        batch = make_batch(SHAPES["no sharing"])
        planner = self.make(batch)
        assert planner.step(batch.prefixes, batch.slots, batch.lengths.numpy().astype(np.int64)) is None
        assert planner.clear() is None

    def test_the_gate_decides(self) -> None:
        batch = make_batch([Tree(1, own=(30, 30))])
        planner = self.make(batch)
        assert planner.step(batch.prefixes, batch.slots, batch.lengths.numpy().astype(np.int64)) is None

    def test_a_step_that_nothing_is_known_of_has_no_part(self) -> None:
        batch = make_batch([Tree(3, own=(5, 5))])
        planner, lengths = self.make(batch), batch.lengths.numpy().astype(np.int64)
        planner.step(batch.prefixes, batch.slots, lengths)
        capacity = Capacity(2, 400)
        buffer = np.full(sum(capacity.sizes), -1, np.int32)
        planner.clear().write(buffer, capacity)
        assert (buffer[:3] == 0).all() and (buffer[-2:] == 1).all() and not planner.shared_rows
        assert planner.step(batch.prefixes, batch.slots, lengths) is not None
