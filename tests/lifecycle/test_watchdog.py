"""A hang is work without a step, however long it takes us to look."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.engine.base import EngineStats
from server.lifecycle.watchdog import Fellows, Watchdog
from server.processes import seats


def stats(steps: int, unfinished: int) -> EngineStats:
    return EngineStats(unfinished, 0, 0.0, steps, unfinished)


def test_it_barks_after_so_many_looks_without_a_step() -> None:
    watchdog = Watchdog(looks=3)
    assert [watchdog.look(stats(7, 1)) for _ in range(5)] == [False, False, False, True, True]


def test_no_work_is_no_hang() -> None:
    watchdog = Watchdog(looks=1)
    assert not any(watchdog.look(stats(7, 0)) for _ in range(5))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=50), st.integers(1, 5))
def test_it_barks_exactly_where_the_last_looks_saw_work_and_no_step(moves: list[tuple[int, int]], looks: int) -> None:
    watchdog, steps, stuck = Watchdog(looks), 0, [False]
    watchdog.look(stats(steps, 0))
    for move, unfinished in moves:
        steps += move
        stuck.append(move == 0 and unfinished == 1)
        assert watchdog.look(stats(steps, unfinished)) == (len(stuck) > looks and all(stuck[-looks:]))


def test_a_process_that_no_longer_looks_is_seen_by_the_others(tmp_path: Path) -> None:
    one, other = (Fellows(seat, looks=2) for seat in seats(2, tmp_path))
    assert [one.look() for _ in range(5)] == [False] * 5  # the other has not begun
    assert not any(each.look() for _ in range(5) for each in (other, one))
    assert [one.look() for _ in range(3)] == [False, True, True]


def test_a_process_that_is_done_need_not_look(tmp_path: Path) -> None:
    seat, its = seats(2, tmp_path)
    one, other = (Fellows(each, looks=2) for each in (seat, its))
    other.look()
    its.tally("done").mine = 1
    assert not any(one.look() for _ in range(5))
