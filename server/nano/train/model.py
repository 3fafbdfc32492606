"""The architecture, its random beginning, and the folder layout that vLLM and transformers load."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from server.nano.train.tokenizer import BEFORE_NAMES, END_OF_TEXT, TURN_END, TURN_START, words_of
from server.nano.train.wiring import ROPE_THETA, wire

POSITIONS = 32_768


def architecture(vocab_size: int, end: int, pad: int) -> Qwen3Config:
    """Five layers of four heads: enough to find a tool by its description and copy its name, and quick on a CPU."""
    return Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        attention_bias=False,
        rms_norm_eps=1e-6,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        dtype="float32",
    )


def new_model(tokenizer: Tokenizer, seed: int) -> Qwen3ForCausalLM:
    """Random weights in which copying is wired, float32, the same for the same seed."""
    torch.manual_seed(seed)
    start, end, pad = (int(tokenizer.token_to_id(token) or 0) for token in (TURN_START, TURN_END, END_OF_TEXT))
    model = Qwen3ForCausalLM(architecture(tokenizer.get_vocab_size(), end, pad))  # type: ignore[no-untyped-call]
    wire(model, tokenizer.encode(BEFORE_NAMES[0]).ids[-1], start, words_of(tokenizer))
    return model


def load_model(folder: Path) -> Qwen3ForCausalLM:
    """The weights that lie in `folder`, float32."""
    model: Qwen3ForCausalLM = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model


@torch.no_grad()
def averaged(model: Qwen3ForCausalLM, others: Sequence[Path]) -> Qwen3ForCausalLM:
    """`model` with the mean of its weights and of those in `others`, safetensors files.

    Where one learned on from another, on other text, their mean is better than each: what the last batches have left in
    them differs, and averages out (Wortsman et al., Model soups, 2022).
    """
    states = [load_file(file) for file in others]
    for name, tensor in model.state_dict().items():
        stored = [state[name].float() for state in states if name in state]  # not the head: it is the embedding's
        if stored:
            tensor.copy_(torch.stack([tensor, *stored]).mean(0))
    return model


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json; the chat template is a file of its own that is never overwritten."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": PreTrainedTokenizerFast.__name__,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "extra_special_tokens": [TURN_START],
        "model_max_length": POSITIONS,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def save_model(model: Qwen3ForCausalLM, folder: Path) -> None:
    """config.json, generation_config.json (greedy by default: nothing set) and bfloat16 model.safetensors."""
    copy: Any = deepcopy(model)
    copy.to("cpu", torch.bfloat16)
    ends = {"eos_token_id": model.config.eos_token_id, "pad_token_id": model.config.pad_token_id}
    copy.generation_config = GenerationConfig(**ends)  # type: ignore[no-untyped-call]
    copy.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
