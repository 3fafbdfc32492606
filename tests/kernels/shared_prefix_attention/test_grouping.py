"""Segments against the definition: blocks that are the same, in all the rows, from the first on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.shared_prefix_attention.grouping import MAX_DEPTH, Prefixes, Segment, covered, find_segments

from .batches import SHAPES, Tree, make_batch


def leading(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def check(segments: tuple[Segment, ...], prefixes: Prefixes, usable: np.ndarray) -> None:
    begin = np.zeros(len(usable), np.int64)
    for segment in segments:
        assert segment.last > segment.first
        assert (begin[segment.rows] == segment.first).all(), "a row's segments join"
        assert (usable[segment.rows] >= segment.last).all()
        assert len(np.unique(prefixes.tables[segment.rows, : segment.last], axis=0)) == 1
        begin[segment.rows] = segment.last
    assert (begin == covered(segments, len(usable))).all()


@given(
    st.lists(st.lists(st.integers(1, 3), max_size=6), min_size=1, max_size=12),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_random_tables(rows: list[list[int]], least: int, blocks: int) -> None:
    prefixes = Prefixes(len(rows), 8)
    for slot, row in enumerate(rows):
        prefixes.put(slot, row)
        for other in range(slot):
            assert prefixes.common[slot, other] == prefixes.common[other, slot] == leading(row, rows[other])
    usable = np.array([len(row) for row in rows])
    segments = find_segments(prefixes, np.arange(len(rows)), usable, lambda _, n: n >= blocks, least)
    check(segments, prefixes, usable)
    assert all(len(s.rows) >= least and s.last - s.first >= blocks for s in segments)
    if blocks == 1 and MAX_DEPTH >= 4:
        reads = {(i, tuple(row[: i + 1])) for row in rows for i in range(len(row))}
        counts = {read: sum(row[: read[0] + 1] == list(read[1]) for row in rows) for read in reads}
        depth = max((sum(row in s.rows for s in segments) for row in range(len(rows))), default=0)
        if depth < MAX_DEPTH:  # then all that can be saved is
            saved = sum(count - 1 for count in counts.values() if count >= least)
            assert sum(s.saved for s in segments) == saved


@given(st.data())
def test_slots_come_and_go(data: st.DataObject) -> None:
    """Whatever was written over and appended: `common` never says more than is so."""
    prefixes = Prefixes(4, 16)
    for _ in range(data.draw(st.integers(1, 12))):
        slot = data.draw(st.integers(0, 3))
        blocks = data.draw(st.lists(st.integers(1, 2), max_size=4))
        if data.draw(st.booleans()):
            prefixes.put(slot, blocks)
        elif prefixes.lengths[slot] + len(blocks) <= 16:
            prefixes.append(slot, blocks)
        rows = [prefixes.tables[s, : prefixes.lengths[s]].tolist() for s in range(4)]
        for a in range(4):
            for b in range(4):
                assert a == b or prefixes.common[a, b] <= leading(rows[a], rows[b])
        usable = prefixes.lengths.copy()
        check(find_segments(prefixes, np.arange(4), usable, lambda *_: True, 2), prefixes, usable)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    batch = make_batch(SHAPES[name])
    usable = (batch.lengths.numpy().astype(np.int64) - 1) // 16
    segments = batch.segments()
    check(segments, batch.prefixes, usable)
    expected = {"one request": 0, "no sharing": 0, "all shared": 1, "ends inside a block": 1}
    expected |= {"two groups and a loner": 2, "nested": 4, "a group larger than a tile": 1}
    assert len(segments) == expected[name]


def test_what_does_not_pay_alone_goes_with_what_follows() -> None:
    """One block for all four is too little; with the next four it pays for two of them."""
    batch = make_batch([Tree(1, own=(9, 9), below=(Tree(4, own=(3, 3)),))])
    (segment,) = batch.segments(tokens=5 * 16)
    assert (segment.first, segment.last, len(segment.rows)) == (0, 5, 2)


def test_the_block_of_the_query_is_never_shared() -> None:
    """A row whose own part were empty would have nothing but the parts of others."""
    batch = make_batch([Tree(2, own=(0, 0))])
    (segment,) = batch.segments()
    assert segment.last == 1
