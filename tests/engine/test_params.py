"""A grammar is looked at once, and what was found of it holds."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from transformers import AutoTokenizer
from vllm.config import StructuredOutputsConfig
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams
from vllm.v1.structured_output import backend_xgrammar

from server.engine import params
from server.engine.convert import to_params
from server.engine.params import KNOWN
from server.nano import model_path
from server.records import Sampling

TOKENIZER = AutoTokenizer.from_pretrained(str(model_path()))


def looked_at(grammar: str) -> SamplingParams:
    asked = to_params(Sampling(max_tokens=9), grammar).clone()
    asked._validate_structured_outputs(SimpleNamespace(is_diffusion=False), StructuredOutputsConfig(), TOKENIZER)
    return asked


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    look = backend_xgrammar.validate_xgrammar_grammar

    def counted(asked: Any) -> None:
        seen.append(asked.structured_outputs.grammar)
        look(asked)

    monkeypatch.setattr(backend_xgrammar, "validate_xgrammar_grammar", counted)
    return seen


def test_one_look_is_enough(looks: list[str]) -> None:
    first, second = looked_at('root ::= "once"'), looked_at('root ::= "once"')
    assert looks == ['root ::= "once"']
    assert first.structured_outputs == second.structured_outputs
    assert second.structured_outputs and second.structured_outputs._backend == "xgrammar"


def test_what_is_no_grammar_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises((VLLMValidationError, ValueError)):
            looked_at("root ::= (((")


def test_only_so_many_are_remembered(looks: list[str]) -> None:
    for number in [*range(KNOWN + 1), 0]:
        looked_at(f'root ::= "{number} of many"')
    assert len(looks) == KNOWN + 2


def test_nor_more_than_there_is_room_for(looks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "ROOM", 100)
    for letter in "abba":
        looked_at(f'root ::= "{60 * letter}"')
    assert [grammar[10] for grammar in looks] == ["a", "b", "a"]


def test_the_core_reads_them_as_vllms_own() -> None:
    ours = to_params(Sampling(max_tokens=9, seed=3, stop=("a",)), 'root ::= "x"')
    told = msgspec.msgpack.decode(msgspec.msgpack.encode(ours), type=SamplingParams)
    assert (told.max_tokens, told.seed, told.stop) == (9, 3, ["a"])
    assert told.structured_outputs and told.structured_outputs.grammar == 'root ::= "x"'
