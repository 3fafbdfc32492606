import subprocess
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from server.nano import model_path
from server.nano.train.data import Encoder
from server.nano.train.model import averaged, new_model, save_model


def test_the_path_is_found_without_torch():
    code = "import sys, server.nano; server.nano.model_path(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_size_type_and_window():
    config = AutoConfig.from_pretrained(model_path())
    assert config.architectures == ["Qwen3ForCausalLM"]
    assert config.max_position_embeddings == 32_768
    weights = model_path() / "model.safetensors"
    assert weights.stat().st_size <= 16 * 2**20
    with safe_open(weights, "pt") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118 (safe_open is no dict)
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert 3e6 <= sum(tensor.numel() for tensor in tensors) <= 8e6


def test_transformers_loads_it_and_it_speaks_finite_numbers(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")])
    with torch.no_grad():
        logits = model(ids).logits
    assert logits.shape == (1, ids.shape[1], len(tokenizer))
    assert torch.isfinite(logits).all()


def test_random_weights_follow_the_seed_and_survive_saving(tmp_path):
    tokenizer = Encoder(model_path()).tokenizer.backend_tokenizer
    first, same, other = (new_model(tokenizer, seed).model.embed_tokens.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    save_model(new_model(tokenizer, 1), tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded.model.embed_tokens.weight, first.to(torch.bfloat16))


def test_the_mean_of_weights_is_the_mean_of_each(tmp_path):
    tokenizer = Encoder(model_path()).tokenizer.backend_tokenizer
    others = []
    for seed in (2, 3):
        save_model(new_model(tokenizer, seed), tmp_path)
        others.append((tmp_path / "model.safetensors").rename(tmp_path / f"{seed}.safetensors"))
    mean = averaged(new_model(tokenizer, 1), others).state_dict()
    stored = [new_model(tokenizer, 1).state_dict(), *map(load_file, others)]
    for name, tensor in mean.items():
        expected = sum(state.get(name, state["model.embed_tokens.weight"]).double() for state in stored) / 3
        assert torch.allclose(tensor.double(), expected, atol=1e-6)
