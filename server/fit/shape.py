"""What of a model's config.json decides how much memory it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "half": 2.0, "float": 4.0}
# By the method of quantization, bytes per weight of the linear layers, scales included.
QUANTIZED = {"fp8": 1.01, "modelopt": 1.01, "compressed-tensors": 1.01, "awq": 0.56, "gptq": 0.56, "awq_marlin": 0.56,
             "gptq_marlin": 0.56, "bitsandbytes": 0.56, "mxfp4": 0.53, "modelopt_fp4": 0.56}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """Counts. linear: weights of the layers. outer: of embedding and output. latent: elements of one token's latent
    cache in one layer (DeepSeek's MLA); 0: keys and values of every head are kept. full, sliding: layers that keep all
    tokens, or those of `window`."""

    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    positions: int
    linear: int
    outer: int
    full: int
    sliding: int
    window: int
    latent: int
    dtype: str
    quantization: str | None

    @property
    def weights(self) -> int:
        return self.linear + self.outer


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Raises KeyError where the config does not say what a decoder has."""
    text: Mapping[str, Any] = config.get("text_config") or config
    hidden, heads, layers = text["hidden_size"], text["num_attention_heads"], text["num_hidden_layers"]
    kv_heads = text.get("num_key_value_heads") or heads
    head_size = text.get("head_dim") or hidden // heads
    full, sliding, window = _layers(text, layers)
    outer = (
        text["vocab_size"] * hidden * (1 if text.get("tie_word_embeddings", config.get("tie_word_embeddings")) else 2)
    )
    quantization = config.get("quantization_config") or text.get("quantization_config") or {}
    return Shape(
        hidden=hidden,
        inner=text.get("intermediate_size") or 4 * hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=text["vocab_size"],
        positions=text.get("max_position_embeddings") or 0,
        linear=layers * (_attention(text, hidden, heads, kv_heads, head_size)) + _feed_forward(text, hidden, layers),
        outer=outer,
        full=full,
        sliding=sliding,
        window=window,
        latent=(text.get("kv_lora_rank") or 0) + (text.get("qk_rope_head_dim") or 0) if text.get("kv_lora_rank") else 0,
        dtype=str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype") or "bfloat16"),
        quantization=quantization.get("quant_method"),
    )


def _layers(text: Mapping[str, Any], layers: int) -> tuple[int, int, int]:
    kinds = text.get("layer_types") or ["full_attention"] * layers
    window = text.get("sliding_window") or 0
    sliding = kinds.count("sliding_attention") if window else 0
    return kinds.count("full_attention") + (0 if window else kinds.count("sliding_attention")), sliding, window


def _attention(text: Mapping[str, Any], hidden: int, heads: int, kv_heads: int, head_size: int) -> int:
    if rank := text.get("kv_lora_rank"):
        rope, plain, value = text["qk_rope_head_dim"], text["qk_nope_head_dim"], text["v_head_dim"]
        asked = text.get("q_lora_rank")
        query = hidden * asked + asked * heads * (rope + plain) if asked else hidden * heads * (rope + plain)
        return int(query + hidden * (rank + rope) + rank * heads * (plain + value) + heads * value * hidden)
    return 2 * hidden * heads * head_size + 2 * hidden * kv_heads * head_size


def _feed_forward(text: Mapping[str, Any], hidden: int, layers: int) -> int:
    """Three matrices for each layer, or for each expert of it."""
    dense = 3 * hidden * (text.get("intermediate_size") or 4 * hidden)
    experts = text.get("num_experts") or text.get("n_routed_experts") or text.get("num_local_experts")
    if not experts:
        return layers * dense
    inner = text.get("moe_intermediate_size") or text["intermediate_size"]
    shared = int(text.get("n_shared_experts") or 0) * inner + int(text.get("shared_expert_intermediate_size") or 0)
    first = int(text.get("first_k_dense_replace") or 0)
    return int(first * dense + (layers - first) * (3 * hidden * (experts * inner + shared) + hidden * experts))
