"""vLLM's outputs in our records."""

import math

import pytest
from vllm.logprobs import Logprob

from server.engine.convert import LOWEST_LOGPROB, to_delta, to_params
from server.engine.stream import Piece
from server.errors import EngineFailed, InvalidRequest
from server.records import Delta, Sampling

BYTES = [bytes([65 + i]) for i in range(8)]


def delta_of(
    token_ids: list[int], sampling: Sampling, reason: str | None = None, stop: int | str | None = None, logprobs=None
) -> Delta:
    return to_delta(Piece("text", token_ids, logprobs, reason, stop), 3, 2, sampling, BYTES)


def test_a_delta() -> None:
    delta = delta_of([4, 5], Sampling(max_tokens=9))
    assert (delta.text, delta.token_ids, delta.prompt_tokens, delta.cached_tokens) == ("text", (4, 5), 3, 2)
    assert delta.finish_reason is None and delta.logprobs == ()


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_engine_that_gives_up_is_an_error(reason: str) -> None:
    with pytest.raises(EngineFailed, match=reason):
        delta_of([4], Sampling(max_tokens=9), reason)


def test_who_forbids_all_that_the_grammar_allows_is_told_so() -> None:
    with pytest.raises(InvalidRequest) as raised:
        delta_of([4], Sampling(max_tokens=9, allowed_token_ids=(4,), bad_words=("a",), stop_token_ids=(5,)), "error")
    named = [detail.path[0] for detail in raised.value.details]
    assert named == ["allowed_token_ids", "bad_words", "stop_token_ids"]
    with pytest.raises(EngineFailed):
        delta_of([4], Sampling(max_tokens=9, bad_words=("a",)), "abort")


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
    delta = delta_of([chosen], Sampling(max_tokens=9, logprobs=top), logprobs=[position(*entries)])
    assert delta.logprobs[0].chosen.token_id == chosen
    assert delta.logprobs[0].chosen.token == BYTES[chosen]
    assert [token.token_id for token in delta.logprobs[0].top] == expected


def test_infinity_has_a_number() -> None:
    entries = [position((4, -math.inf, 9))]
    delta = delta_of([4], Sampling(max_tokens=9, logprobs=0), logprobs=entries)
    assert delta.logprobs[0].chosen.logprob == LOWEST_LOGPROB


@pytest.mark.parametrize(("stop", "reported"), [(None, 1), (7, 1), ("END", 2)])
def test_the_token_that_ends_the_answer_is_no_part_of_it(stop: int | str | None, reported: int) -> None:
    entries = [position((4, -1.0, 1)), position((7, -1.0, 1))]
    delta = delta_of([4, 7], Sampling(max_tokens=9, logprobs=0), "stop", stop, entries)
    assert len(delta.logprobs) == reported
    assert delta.token_ids == (4, 7)


def test_a_padded_vocabulary_has_tokens_without_text() -> None:
    delta = delta_of([99], Sampling(max_tokens=9, logprobs=0), logprobs=[position((99, -1.0, 1))])
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
