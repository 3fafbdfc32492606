"""What the node carries, and whom it sheds first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.admission.capacity import Capacity, Slot
from server.errors import Unavailable
from server.settings import AdmissionSettings, ServiceClass


def capacity(in_flight: int = 10, tokens: int = 1000) -> Capacity:
    return Capacity(AdmissionSettings(max_in_flight=in_flight, max_queued_tokens=tokens))


def taken(node: Capacity, service_class: ServiceClass, tokens: int = 0) -> int:
    """How many get in."""
    count = 0
    while True:
        try:
            node.take(service_class, tokens)
        except Unavailable:
            return count
        count += 1


def test_background_goes_first_then_speculative_then_live() -> None:
    node = capacity(100)
    assert [taken(node, service_class) for service_class in ("background", "speculative", "live")] == [60, 25, 15]


def test_queued_tokens_shed_in_the_same_order() -> None:
    node = capacity(10_000, tokens=100)
    assert [taken(node, service_class, 1) for service_class in ("background", "speculative", "live")] == [60, 25, 15]


def test_a_small_node_still_takes_one_of_each_class() -> None:
    for service_class in ("background", "speculative", "live"):
        assert taken(capacity(1), service_class) == 1


def test_later_for_who_can_wait() -> None:
    waits = {}
    for service_class in ("live", "speculative", "background"):
        node = capacity(1)
        node.take("live", 0)
        with pytest.raises(Unavailable) as raised:
            node.take(service_class, 0)
        assert (raised.value.status, service_class in raised.value.message) == (503, True)
        waits[service_class] = int(raised.value.headers["Retry-After"])
    assert 1 <= waits["live"] < waits["speculative"] < waits["background"]


def test_a_first_token_takes_a_prompt_out_of_the_queue_and_not_out_of_the_house() -> None:
    node = capacity(tokens=100)
    slot = node.take("live", 100)
    assert taken(node, "live", 1) == 0
    slot.first_token()
    assert (node.in_flight, node.queued_tokens) == (1, 0)
    node.take("live", 100)


def test_a_prompt_larger_than_the_queue_gets_in_alone() -> None:
    node = capacity(tokens=100)
    node.take("background", 5000)
    with pytest.raises(Unavailable):
        node.take("live", 1)


@given(st.lists(st.tuples(st.sampled_from(["take", "free", "token"]), st.integers(0, 40), st.integers(0, 9))))
def test_the_counts_are_those_of_the_slots_held(steps: list[tuple[str, int, int]]) -> None:
    node, held = capacity(5, 100), list[Slot]()
    waiting: dict[Slot, int] = {}
    for step, tokens, index in steps:
        if step == "take":
            try:
                held.append(slot := node.take("live", tokens))
                waiting[slot] = tokens
            except Unavailable:
                assert len(held) == 5 or (sum(waiting.values()) and sum(waiting.values()) + tokens > 100)
        elif held and step == "free":
            slot = held.pop(index % len(held))
            waiting.pop(slot, None)
            slot.free()
            slot.free()
            slot.first_token()
        elif held:
            slot = held[index % len(held)]
            waiting.pop(slot, None)
            slot.first_token()
        assert (node.in_flight, node.queued_tokens) == (len(held), sum(waiting.values()))
