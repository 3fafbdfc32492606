"""The budget in words, and what to do where it does not hold."""

from collections.abc import Mapping
from typing import Any

from server.fit.budget import Budget
from server.fit.shape import Shape

GIB = 2**30


def explain(found: Budget, shape: Shape, engine: Mapping[str, Any], window: int, calls: int) -> tuple[list[str], bool]:
    """Sentences, and whether all of it fits. calls: at once, that are wanted."""
    faults = _faults(found, shape, engine, window, calls)
    cards = f"{found.cards} cards" if found.cards > 1 else "one card"
    each = " on each" if found.cards > 1 else ""
    lines = [
        f"On {cards} ({found.card.name}, {_gib(found.card.memory)}){each}, of which vLLM may use {_gib(found.usable)}:",
        f"  weights    {_gib(found.weights)}  ({shape.weights / 1e9:.1f} billion parameters{_kind(shape, engine)})",
        f"  working    {_gib(found.working)}  (activations, logits, CUDA; an estimate)",
        f"  KV cache   {_gib(found.cache)}  ({found.tokens:,} tokens of {found.token / 1024:.0f} KiB: "
        f"{found.windows:.1f} whole windows of {window:,})",
        f"  calls      {found.calls:,} at once, if each holds {found.call_tokens:,} tokens of its own; "
        f"{calls:,} are wanted ({_gib(calls * found.call)})",
    ]
    if not faults:
        return [*lines, "It fits."], True
    return [*lines, "It does not fit:", *(f"  - {fault}" for fault in faults)], False


def _faults(found: Budget, shape: Shape, engine: Mapping[str, Any], window: int, calls: int) -> list[str]:
    faults = []
    tensor = int(engine.get("tensor_parallel_size") or 1)
    if shape.heads % tensor:
        faults.append(
            f"{shape.heads} attention heads cannot be shared by {tensor} cards: tensor_parallel_size must divide them"
        )
    if shape.positions and window > shape.positions:
        faults.append(f"the model was made for {shape.positions:,} tokens, model.context_window is {window:,}")
    if found.weights + found.working >= found.usable:
        missing = found.weights + found.working - found.usable
        faults.append(f"the model is too large by {_gib(missing)}: {_smaller(found)}")
    elif found.cache > found.room:
        faults.append(
            f"kv_cache_memory_bytes asks for {_gib(found.cache)}, {_gib(found.cache - found.room)} more than is left: "
            f"{found.room}, or nothing, for all of it"
        )
    elif found.windows < 1:
        short = found.window - found.cache
        faults.append(
            f"one whole window needs {_gib(found.window)} of cache, {_gib(short)} more than there is; vLLM will not "
            f"start: model.context_window: {found.tokens // 16 * 16}, or kv_cache_dtype: fp8, or "
            f"{_larger(found, found.window)}"
        )
    elif found.calls < calls:
        faults.append(
            f"{calls:,} calls of {found.call_tokens:,} tokens need {_gib(calls * found.call)} of cache: beyond "
            f"{found.calls:,} they wait or lose their cache to others; max_num_seqs: {found.calls}, or "
            f"kv_cache_dtype: fp8, or {_larger(found, calls * found.call)}"
        )
    return faults


def _larger(found: Budget, wanted: int) -> str:
    """How the cache may come to so many bytes."""
    return f"kv_cache_memory_bytes: {wanted}" if found.cache < wanted <= found.room else _smaller(found)


def _smaller(found: Budget) -> str:
    return f"weights of fewer bits (fp8, awq), a larger card, or tensor_parallel_size: {found.cards * 2}"


def _kind(shape: Shape, engine: Mapping[str, Any]) -> str:
    how = shape.quantization or engine.get("quantization")
    return f", {how}" if how else ""


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
