"""vLLM's outputs in our records."""

import math

import pytest
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput

from server.engine.convert import LOWEST_LOGPROB, to_delta, to_params
from server.errors import EngineFailed
from server.records import Sampling

BYTES = [bytes([65 + i]) for i in range(8)]


def output(
    token_ids: list[int], reason: str | None = None, stop: int | str | None = None, logprobs=None
) -> RequestOutput:
    completion = CompletionOutput(0, "text", token_ids, None, logprobs, finish_reason=reason, stop_reason=stop)
    return RequestOutput("r", None, [1, 2, 3], None, [completion], reason is not None, num_cached_tokens=2)


def test_a_delta() -> None:
    delta = to_delta(output([4, 5]), Sampling(max_tokens=9), BYTES)
    assert (delta.text, delta.token_ids, delta.prompt_tokens, delta.cached_tokens) == ("text", (4, 5), 3, 2)
    assert delta.finish_reason is None and delta.logprobs == ()


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_engine_that_gives_up_is_an_error(reason: str) -> None:
    with pytest.raises(EngineFailed, match=reason):
        to_delta(output([4], reason), Sampling(max_tokens=9), BYTES)


def position(*entries: tuple[int, float, int]) -> dict[int, Logprob]:
    return {token: Logprob(logprob, rank) for token, logprob, rank in entries}


@pytest.mark.parametrize(
    ("top", "entries", "expected"),
    [
        (0, [(4, -1.0, 1)], []),
        (2, [(4, -3.0, 7), (5, -1.0, 1), (6, -2.0, 2)], [5, 6]),
        (2, [(6, -2.0, 2), (5, -1.0, 1)], [5, 6]),
    ],
)
def test_exactly_the_asked_alternatives_best_first(top: int, entries, expected: list[int]) -> None:
    chosen = entries[0][0]
    delta = to_delta(output([chosen], logprobs=[position(*entries)]), Sampling(max_tokens=9, logprobs=top), BYTES)
    assert delta.logprobs[0].chosen.token_id == chosen
    assert delta.logprobs[0].chosen.token == BYTES[chosen]
    assert [token.token_id for token in delta.logprobs[0].top] == expected


def test_infinity_has_a_number() -> None:
    entries = [position((4, -math.inf, 9))]
    delta = to_delta(output([4], logprobs=entries), Sampling(max_tokens=9, logprobs=0), BYTES)
    assert delta.logprobs[0].chosen.logprob == LOWEST_LOGPROB


@pytest.mark.parametrize(("stop", "reported"), [(None, 1), (7, 1), ("END", 2)])
def test_the_token_that_ends_the_answer_is_no_part_of_it(stop: int | str | None, reported: int) -> None:
    entries = [position((4, -1.0, 1)), position((7, -1.0, 1))]
    delta = to_delta(output([4, 7], "stop", stop, entries), Sampling(max_tokens=9, logprobs=0), BYTES)
    assert len(delta.logprobs) == reported
    assert delta.token_ids == (4, 7)


def test_a_padded_vocabulary_has_tokens_without_text() -> None:
    delta = to_delta(output([99], logprobs=[position((99, -1.0, 1))]), Sampling(max_tokens=9, logprobs=0), BYTES)
    assert delta.logprobs[0].chosen.token == b""


def test_params_carry_everything() -> None:
    sampling = Sampling(
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        min_p=0.1,
        seed=1,
        stop=("x",),
        logit_bias={1: 2.0},
        logprobs=4,
    )
    params = to_params(sampling, 'root ::= "a"')
    assert (params.max_tokens, params.temperature, params.top_p, params.top_k, params.min_p) == (5, 0.5, 0.9, 3, 0.1)
    assert (params.seed, params.stop, params.logit_bias, params.logprobs) == (1, ["x"], {1: 2.0}, 4)
    assert params.structured_outputs is not None and params.structured_outputs.grammar == 'root ::= "a"'
    assert to_params(sampling, None).structured_outputs is None
