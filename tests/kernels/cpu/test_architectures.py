"""Models whose attention is not the plain one, against transformers: windows, soft caps, sharing, other head counts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)
from vllm import SamplingParams

WINDOW = 24
LENGTHS = [1, 16, 23, 24, 25, 100]
SHAPE = dict(vocab_size=257, hidden_size=64, intermediate_size=96, num_hidden_layers=2, head_dim=16)
HEADS = dict(num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3)


def gemma2() -> PreTrainedModel:
    """Every other layer has a window; soft caps on attention scores and on logits; a scale that is not 1/sqrt(d)."""
    capped = dict(attn_logit_softcapping=2.0, final_logit_softcapping=8.0, query_pre_attn_scalar=24)
    config = Gemma2Config(sliding_window=WINDOW, attn_implementation="eager", **SHAPE, **HEADS, **capped)
    return Gemma2ForCausalLM(config)


def mistral() -> PreTrainedModel:
    """A window on every layer."""
    return MistralForCausalLM(MistralConfig(sliding_window=WINDOW, **SHAPE, **HEADS))


def bloom() -> PreTrainedModel:
    """ALiBi instead of rotary positions, as many key heads as query heads."""
    return BloomForCausalLM(BloomConfig(vocab_size=257, hidden_size=64, n_layer=2, n_head=4, initializer_range=0.3))


@pytest.mark.parametrize("build", [gemma2, mistral, bloom])
def test_greedy_equals_transformers(
    build: Callable[[], PreTrainedModel], save_model: Any, engine: Any, continue_greedily: Callable[..., list[int]]
) -> None:
    torch.manual_seed(0)
    model = build().float().eval()
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(0, 256, (length,), generator=generator).tolist() for length in LENGTHS]
    expected = [continue_greedily(model, ids, 30) for ids in prompts]
    assert len({tuple(text) for text in expected}) == len(prompts)  # a model that says one thing would prove nothing
    params = SamplingParams(temperature=0, max_tokens=30, ignore_eos=True)
    with engine(save_model(build.__name__, model), max_model_len=256, max_num_batched_tokens=64, max_num_seqs=8) as llm:
        outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False)
    assert [list(output.outputs[0].token_ids) for output in outputs] == expected
