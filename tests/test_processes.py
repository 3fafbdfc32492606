"""What several processes know of one another, and what they cannot have."""

import multiprocessing
from pathlib import Path

import pytest

from server.admission.capacity import Capacity
from server.admission.gate import Gate
from server.admission.salts import with_salt_secret
from server.api.body import SMALL, BodyBudget
from server.errors import Unavailable
from server.processes import Seat, alone, check_processes, seats
from server.settings import AdmissionSettings, Settings, SettingsError

REDIS = {"url": "redis://somewhere"}


def several(**sections: object) -> Settings:
    return Settings.model_validate({"http": {"processes": 2}, **sections})


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"admission": {"keys_file": "keys.yaml"}}, ["admission.redis.url"]),
        ({"admission": {"plans": {"local": {"concurrency": 3}}}}, ["admission.redis.url"]),
        (
            {"lifecycle": {"restarts": 1}, "engine": {"data_parallel_size": 2}},
            ["lifecycle.restarts", "engine.data_para"],
        ),
        ({"kernels": {"shared_prefix_gate": "gate.json"}}, ["kernels.shared_prefix_gate"]),
    ],
)
def test_what_several_cannot_have_is_refused_by_name(sections: dict[str, object], named: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        check_processes(several(**sections))
    assert all(f"`{name}" in str(raised.value) for name in ("http.processes", *named))
    check_processes(several(**sections).model_copy(update={"http": Settings().http}))


@pytest.mark.parametrize(
    "admission",
    [{}, {"plans": {"local": {"service_class": "background"}}}, {"keys_file": "keys.yaml", "redis": REDIS}],
)
def test_limits_that_are_shared_or_that_there_are_not_any_of_are_no_obstacle(admission: dict[str, object]) -> None:
    check_processes(several(admission=admission))


def _add_three(seat: Seat) -> None:
    seat.tally("in_flight").mine += 3


def test_a_part_that_another_process_writes_is_seen_here(tmp_path: Path) -> None:
    first, second = seats(2, tmp_path)
    first.tally("in_flight").mine = 1
    process = multiprocessing.get_context("spawn").Process(target=_add_three, args=(second,))
    process.start()
    process.join()
    tally = first.tally("in_flight")
    assert (process.exitcode, tally.mine, tally.total, tally.least) == (0, 1, 4, 1)
    assert first.tally("queued_tokens").total == 0


def test_a_node_is_full_when_its_processes_are_together(tmp_path: Path) -> None:
    settings = AdmissionSettings(max_in_flight=2, max_queued_tokens=100)
    one, other = (Capacity(settings, seat) for seat in seats(2, tmp_path))
    waiting = one.take("live", 90)
    with pytest.raises(Unavailable, match="90 prompt tokens"):
        other.take("live", 20)
    waiting.first_token()
    here = other.take("live", 20)
    with pytest.raises(Unavailable, match="2 requests"):
        one.take("live", 0)
    here.free()
    one.take("live", 0)
    assert (one.in_flight, other.in_flight) == (2, 0)


def test_bodies_have_one_bound(tmp_path: Path) -> None:
    one, other = (BodyBudget(SMALL, seat.tally("body_bytes")) for seat in seats(2, tmp_path))
    with one.share() as here, other.share() as there:
        here(2 * SMALL)
        with pytest.raises(Unavailable):
            there(SMALL + 1)
    assert one.held == other.held == 0


def test_salts_are_those_of_the_first_process(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("accounts: {}")
    handed_on = with_salt_secret(AdmissionSettings(keys_file=keys))
    assert handed_on.salt_secret is not None
    assert with_salt_secret(handed_on) is handed_on
    assert "**" in repr(handed_on.salt_secret)
    Gate(handed_on)  # long enough
    assert with_salt_secret(AdmissionSettings()).salt_secret != handed_on.salt_secret


def test_two_that_are_alone_share_nothing() -> None:
    one, other = alone(), alone()
    one.tally("lost").mine = 1
    assert other.tally("lost").total == 0
    assert one.first and not one.shared and not one.all_ready
