"""A model of a known shape without its weights, for measuring speed where no model can be fetched.

Config of the real one; tokenizer and chat template of the embedded model, so that there are only 4,096 tokens
and the output layer is smaller (for Qwen3-8B 34 in place of 1,245 MB in bfloat16, of 16 GB); the rest is the same.
Start it with `engine.load_format: dummy`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from server.nano import model_path

COMMON = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 128, "hidden_act": "silu",
          "max_position_embeddings": 40960, "rms_norm_eps": 1e-06, "rope_theta": 1000000, "dtype": "bfloat16",
          "attention_bias": False, "num_key_value_heads": 8}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "qwen3-0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "tie_word_embeddings": True},
    "qwen3-4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
                 "tie_word_embeddings": True},
    "qwen3-8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
                 "tie_word_embeddings": False},
}  # fmt: skip


def make(shape: str, folder: Path) -> Path:
    """Returns the folder, which a server can be pointed at."""
    own = json.loads((model_path() / "config.json").read_text())
    tokens = {name: own[name] for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**COMMON, **SHAPES[shape], **tokens}, indent=2))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        shutil.copy(model_path() / name, folder / name)
    return folder
