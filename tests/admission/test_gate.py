import pytest

from server.admission.gate import Gate
from server.errors import Unavailable
from server.settings import AdmissionSettings


def test_a_full_house_turns_away_and_a_freed_slot_admits() -> None:
    gate = Gate(AdmissionSettings(max_in_flight=2))
    with gate.admit():
        with gate.admit():
            assert gate.in_flight == 2
            with pytest.raises(Unavailable) as raised, gate.admit():
                pass
            assert raised.value.headers["Retry-After"] == "1"
        with gate.admit():
            assert gate.in_flight == 2
    assert gate.in_flight == 0


def test_an_error_inside_frees_the_slot() -> None:
    gate = Gate(AdmissionSettings(max_in_flight=1))
    with pytest.raises(RuntimeError), gate.admit():
        raise RuntimeError
    assert gate.in_flight == 0
