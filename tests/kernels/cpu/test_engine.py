"""The whole engine on a tiny model: transformers, with the same weights, says what it should have answered.

The engine is made small, so that ordinary requests meet every hard case: prompts longer than a block and a chunk, and a
cache that does not hold all requests of a batch.
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from vllm import LLM, RequestOutput, SamplingParams
from vllm.sampling_params import StructuredOutputsParams

BLOCK, CHUNK, BLOCKS, WINDOW = 16, 64, 48, 512
VOCABULARY = 257
Continue = Callable[..., list[int]]
LENGTHS = [1, 15, 16, 17, 63, 64, 65, 150]


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    shape = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, head_dim=16)
    heads = dict(num_attention_heads=4, num_key_value_heads=2)
    # Large weights: with the usual ones a random model repeats one token for ever, and any mistake would go unseen.
    config = Qwen3Config(vocab_size=VOCABULARY, initializer_range=0.3, max_position_embeddings=WINDOW, **shape, **heads)
    return Qwen3ForCausalLM(config).float().eval()


@pytest.fixture(scope="module")
def llm(model: Qwen3ForCausalLM, save_model: Any, engine: Any) -> Iterator[LLM]:
    options = dict(max_model_len=WINDOW, max_num_batched_tokens=CHUNK, max_num_seqs=8, num_gpu_blocks_override=BLOCKS)
    with engine(save_model("qwen3", model), max_logprobs=20, **options) as llm:
        yield llm


def prompt(length: int, seed: int = 0) -> list[int]:
    return torch.randint(
        0, VOCABULARY - 1, (length,), generator=torch.Generator().manual_seed(1000 * seed + length)
    ).tolist()


def generate(llm: LLM, prompts: list[list[int]], params: SamplingParams | list[SamplingParams]) -> list[RequestOutput]:
    return llm.generate([{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False)


def tokens(outputs: list[RequestOutput]) -> list[list[int]]:
    return [list(output.outputs[0].token_ids) for output in outputs]


def greedy(count: int, **options: Any) -> SamplingParams:
    return SamplingParams(temperature=0, max_tokens=count, ignore_eos=True, **options)


def sampled(count: int, seed: int | None, **options: Any) -> SamplingParams:
    return SamplingParams(temperature=1.0, seed=seed, max_tokens=count, ignore_eos=True, **options)


def preemptions(llm: LLM) -> int:
    return sum(metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions")


def test_the_platform_is_ours_and_has_filled_in_its_defaults(llm: LLM) -> None:
    from vllm.platforms import current_platform

    config = llm.llm_engine.vllm_config
    assert type(current_platform).__module__ == "kernels.cpu.platform"
    assert config.cache_config.block_size == BLOCK
    assert config.parallel_config.distributed_executor_backend == "uni"
    assert not config.scheduler_config.async_scheduling


def test_greedy_equals_transformers(llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue) -> None:
    prompts = [prompt(length) for length in LENGTHS]
    expected = [continue_greedily(model, ids, 24) for ids in prompts]
    assert tokens(generate(llm, prompts, greedy(24))) == expected


def test_preempted_requests_lose_nothing(llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue) -> None:
    prompts = [prompt(70, seed) for seed in range(8)]
    count = 60
    assert sum(-(-(len(ids) + count) // BLOCK) for ids in prompts) > BLOCKS  # they cannot all stay
    before = preemptions(llm)
    found = tokens(generate(llm, prompts, greedy(count)))
    assert preemptions(llm) > before
    assert found == [continue_greedily(model, ids, count) for ids in prompts]


@pytest.mark.parametrize("length", [16, 17, 80, 100])
def test_a_known_prompt_is_read_from_the_cache(llm: LLM, length: int) -> None:
    ids = prompt(length, seed=5)
    first, second = (generate(llm, [ids], greedy(8))[0] for _ in range(2))
    assert first.num_cached_tokens == 0
    assert second.num_cached_tokens == (length - 1) // BLOCK * BLOCK  # the last token is always computed
    assert tokens([second]) == tokens([first])


def test_a_seed_decides_the_text_whatever_else_runs(llm: LLM) -> None:
    """Alone, last in a batch, first in one, in chunks (150 tokens), from the cache or preempted: the same text."""
    wanted = [(prompt(20, seed=9), 11), (prompt(150, seed=9), 12)]
    others = [(prompt(40 + i, seed=10), None if i % 2 else i) for i in range(6)]

    def run(requests: list[tuple[list[int], int | None]]) -> list[list[int]]:
        return tokens(generate(llm, [ids for ids, _ in requests], [sampled(30, seed) for _, seed in requests]))

    alone = [run([request])[0] for request in wanted]
    assert run(others + wanted)[-2:] == alone
    llm.reset_prefix_cache()
    assert run(wanted[::-1] + others)[:2] == alone[::-1]


def test_seeds_differ_and_unseeded_requests_differ(llm: LLM) -> None:
    for seeds in (range(8), [None] * 8):
        found = tokens(generate(llm, [prompt(20)] * 8, [sampled(20, seed) for seed in seeds]))
        assert len({tuple(text) for text in found}) == 8


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"top_p": 0.6}, {"min_p": 0.2}, {"top_k": 9, "top_p": 0.8}])
def test_draws_follow_the_distribution(llm: LLM, model: Qwen3ForCausalLM, options: dict[str, float]) -> None:
    draws, temperature, false_alarm = 600, 1.7, 1e-9
    with torch.inference_mode():
        logits = model(torch.tensor([prompt(20)])).logits[0, -1].double() / temperature
    expected = filtered(logits.softmax(0), **options)
    params = [SamplingParams(temperature=temperature, max_tokens=1, seed=i, **options) for i in range(draws)]
    chosen = torch.tensor(tokens(generate(llm, [prompt(20)] * draws, params)))[:, 0]
    found = torch.bincount(chosen, minlength=VOCABULARY) / draws
    assert found[expected == 0].sum() == 0
    hoeffding = math.sqrt(math.log(2 * VOCABULARY / false_alarm) / (2 * draws))
    assert (found - expected).abs().max() <= hoeffding


def filtered(masses: torch.Tensor, top_k: int = VOCABULARY, top_p: float = 1.0, min_p: float = 0.0) -> torch.Tensor:
    kept = masses * (masses >= min_p * masses.max())
    values, ids = kept.sort(descending=True)
    values = values[:top_k] / values[:top_k].sum()
    values = values * (values.cumsum(0) - values < top_p)
    return torch.zeros_like(masses).index_copy(0, ids[:top_k], values / values.sum())


def test_logprobs(llm: LLM, model: Qwen3ForCausalLM) -> None:
    ids = prompt(70, seed=2)
    llm.reset_prefix_cache()
    (output,) = generate(llm, [ids], greedy(6, logprobs=20, prompt_logprobs=3))
    chosen = list(output.outputs[0].token_ids)
    with torch.inference_mode():
        expected = model(torch.tensor([ids + chosen])).logits[0].double().log_softmax(-1)
    rows = [*output.prompt_logprobs[1:], *output.outputs[0].logprobs]
    for position, (row, token) in enumerate(zip(rows, [*ids[1:], *chosen], strict=True)):
        best = set(expected[position].topk(3 if position < len(ids) - 1 else 20).indices.tolist())
        assert set(row) == best | {token}
        for candidate, entry in row.items():
            assert entry.logprob == pytest.approx(float(expected[position, candidate]), abs=1e-3)
            assert entry.rank == 1 + int((expected[position] > expected[position, candidate]).sum())


def penalised(ids: list[int], repetition: float, frequency: float, presence: float) -> Callable[..., torch.Tensor]:
    def change(logits: torch.Tensor, chosen: list[int]) -> torch.Tensor:
        seen = torch.tensor(sorted({*ids, *chosen}))
        logits[seen] = torch.where(logits[seen] > 0, logits[seen] / repetition, logits[seen] * repetition)
        counts = torch.bincount(torch.tensor(chosen, dtype=torch.int64), minlength=VOCABULARY)
        return logits - frequency * counts - presence * (counts > 0)

    return change


def test_penalties(llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue) -> None:
    cases = [(1.0, 0.0, 0.0), (1.6, 0.0, 0.0), (1.0, 1.9, 0.0), (1.0, 0.0, 2.0), (1.3, -0.7, 1.1)]
    names = ("repetition_penalty", "frequency_penalty", "presence_penalty")
    params = [greedy(30, **dict(zip(names, case, strict=True))) for case in cases]
    prompts = [prompt(10 + i, seed=3) for i in range(len(cases))]
    expected = [
        continue_greedily(model, ids, 30, penalised(ids, *case)) for ids, case in zip(prompts, cases, strict=True)
    ]
    assert tokens(generate(llm, prompts, params)) == expected


def test_biased_allowed_and_bad_tokens(llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue) -> None:
    ids = prompt(12, seed=4)
    plain = continue_greedily(model, ids, 4)
    bad = llm.get_tokenizer().decode(plain[:1])
    bias = torch.zeros(VOCABULARY)
    bias[plain[0]], bias[7] = -100.0, 3.0
    outside = torch.ones(VOCABULARY, dtype=torch.bool)
    outside[[3, 5, 9]] = False

    def forbid(logits: torch.Tensor, chosen: list[int]) -> torch.Tensor:
        return logits.index_fill(0, torch.tensor(llm.get_tokenizer().encode(bad)), -torch.inf)

    cases: list[tuple[dict[str, Any], Callable[..., torch.Tensor]]] = [
        ({"logit_bias": {plain[0]: -100.0, 7: 3.0}}, lambda logits, _: logits + bias),
        ({"allowed_token_ids": [3, 5, 9]}, lambda logits, _: logits.masked_fill(outside, -torch.inf)),
        ({"bad_words": [bad]}, forbid),
    ]
    found = tokens(generate(llm, [ids] * 3, [greedy(20, **options) for options, _ in cases]))
    assert found == [continue_greedily(model, ids, 20, change) for _, change in cases]


def test_stop_tokens_and_a_least_length(llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue) -> None:
    ids = prompt(33, seed=6)
    plain = continue_greedily(model, ids, 12)
    stop = plain[3]
    stopped, kept_going = generate(llm, [ids] * 2, [greedy(12, stop_token_ids=[stop], min_tokens=n) for n in (0, 8)])
    assert tokens([stopped])[0] == plain[: plain.index(stop) + 1]
    assert stopped.outputs[0].finish_reason == "stop"
    assert len(tokens([kept_going])[0]) >= 8
    assert stop not in tokens([kept_going])[0][:8]


def test_structured_output_beside_plain_requests(
    llm: LLM, model: Qwen3ForCausalLM, continue_greedily: Continue
) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    grammars = [
        StructuredOutputsParams(choice=["yes", "no"]),
        StructuredOutputsParams(regex="[a-f]{4}[0-9]{2}"),
        StructuredOutputsParams(json=schema | {"additionalProperties": False}, disable_any_whitespace=True),
    ]
    params = [
        SamplingParams(temperature=1.0, seed=1, max_tokens=60, structured_outputs=grammar) for grammar in grammars
    ]
    prompts = [prompt(n, seed=7) for n in (80, 5, 30, 40)]
    *guided, plain = generate(llm, prompts, [*params, greedy(20)])
    choice, matched, value = (output.outputs[0].text for output in guided)
    assert choice in {"yes", "no"}
    assert len(matched) == 6 and set(matched[:4]) <= set("abcdef") and matched[4:].isdigit()
    assert set(json.loads(value)) == {"ok"}
    assert tokens([plain]) == [continue_greedily(model, prompts[-1], 20)]
