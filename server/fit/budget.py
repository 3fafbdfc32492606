"""Where a card's memory goes. Bytes, for each card."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from server.fit.cards import Card
from server.fit.shape import BYTES, QUANTIZED, Shape

# vLLM's own default, and what it and CUDA take for themselves: context and communication, captured graphs. Both are
# estimates that are rather too large; vLLM measures them when it starts.
UTILIZATION = 0.92
CONTEXT = int(0.6 * 2**30)
GRAPHS = int(0.8 * 2**30)
BATCHED, SEQUENCES = 8192, 256


@dataclass(frozen=True, slots=True)
class Budget:
    """cards: how many share the model. usable: what vLLM may use. working: activations, logits, context, graphs.
    cache: what is left for keys and values, or was given to them. call: cache of one call of `call_tokens`.
    window: cache of one whole window. tokens: how many fit into the cache at all."""

    card: Card
    cards: int
    usable: int
    weights: int
    working: int
    cache: int
    call_tokens: int
    call: int
    window: int
    token: int

    @property
    def room(self) -> int:
        """What the cache may have at most."""
        return self.usable - self.weights - self.working

    @property
    def tokens(self) -> int:
        return max(0, self.cache) // self.token

    @property
    def calls(self) -> int:
        return max(0, self.cache) // self.call

    @property
    def windows(self) -> float:
        return max(0, self.cache) / self.window


def budget(
    shape: Shape, engine: Mapping[str, Any], card: Card, window: int, call_tokens: int, stored: int | None = None
) -> Budget:
    """stored: bytes of the weight files; None: worked out from the shape. window, call_tokens: tokens."""
    tensor = int(engine.get("tensor_parallel_size") or 1)
    parts = tensor * int(engine.get("pipeline_parallel_size") or 1)
    usable = int(card.memory * float(engine.get("gpu_memory_utilization") or UTILIZATION))
    weights = ceil(_weights(shape, engine, stored) / parts)
    working = _working(shape, engine, tensor)
    given = engine.get("kv_cache_memory_bytes")
    return Budget(
        card=card,
        cards=parts,
        usable=usable,
        weights=weights,
        working=working,
        cache=int(given) if given else usable - weights - working,
        call_tokens=call_tokens,
        call=_cache(shape, engine, call_tokens, parts),
        window=_cache(shape, engine, window, parts),
        token=max(1, _cache(shape, engine, 1, parts)),
    )


def _weights(shape: Shape, engine: Mapping[str, Any], stored: int | None) -> float:
    """Quantizing on loading changes the linear layers; embedding and output stay as they are."""
    wanted, size = engine.get("quantization"), _size(shape, engine)
    if wanted and not shape.quantization:
        return shape.linear * QUANTIZED.get(str(wanted), size) + shape.outer * size
    if stored and (shape.quantization or size == BYTES.get(shape.dtype, 2.0)):
        return stored
    return shape.linear * QUANTIZED.get(shape.quantization or "", size) + shape.outer * size


def _size(shape: Shape, engine: Mapping[str, Any]) -> float:
    """Bytes of one element, as it is computed with."""
    asked = str(engine.get("dtype") or "auto")
    return BYTES.get(shape.dtype if asked == "auto" else asked, 2.0)


def _working(shape: Shape, engine: Mapping[str, Any], tensor: int) -> int:
    """The widest moment of a step: what one layer makes of all its tokens, and the logits of all that are sampled."""
    batched = int(engine.get("max_num_batched_tokens") or BATCHED)
    sequences = int(engine.get("max_num_seqs") or SEQUENCES)
    layer = batched * (6 * shape.hidden + 3 * shape.inner // tensor) * _size(shape, engine)
    logits = 3 * sequences * shape.vocabulary * 4  # float32: logits, probabilities and one copy
    graphs = 0 if engine.get("enforce_eager") else GRAPHS
    return int(layer + logits) + CONTEXT + graphs


def _cache(shape: Shape, engine: Mapping[str, Any], tokens: int, parts: int) -> int:
    """A head that cannot be split is kept on every card; a latent cache never can."""
    asked = str(engine.get("kv_cache_dtype") or "auto")
    size = 1.0 if asked.startswith("fp8") else _size(shape, engine)
    tensor = int(engine.get("tensor_parallel_size") or 1)
    held = shape.full * tokens + shape.sliding * min(tokens, shape.window)
    if shape.latent:
        return ceil(held * shape.latent * size * tensor / parts)
    heads = max(1, shape.kv_heads // tensor)
    return ceil(held * 2 * heads * shape.head_size * size * tensor / parts)
