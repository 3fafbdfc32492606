"""The `torch.ops._C` operators that vLLM's CPU path calls and a wheel built for CUDA lacks, in PyTorch.

Schemas follow vLLM 0.32. An operator that is already defined is left alone.
"""

from collections.abc import Callable
from functools import cache

import torch

from kernels.cpu.sampling import greedy_argmax, sample_by_seed

NAMESPACE = "_C"

# Intel AMX machines only: vLLM packs small bf16 weights for a kernel of its own. Ours keeps them as they are.
PACK_WEIGHT = "convert_weight_packed(Tensor weight) -> Tensor"
PACKED_LINEAR = "weight_packed_linear(Tensor(a!) out, Tensor x, Tensor weight, Tensor? bias, bool is_vnni) -> ()"


@cache
def register() -> torch.library.Library:
    """Define what is missing; the library must be kept for as long as the operators live, which the cache does."""
    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    _define(library, "greedy_argmax(Tensor logits) -> Tensor", greedy_argmax)
    # The name is vLLM's; what counts is one draw from softmax(logits) per row, decided by the row's seed alone.
    _define(library, "fused_gumbel_argmax(Tensor logits, Tensor seeds) -> Tensor", sample_by_seed)
    _define(library, PACK_WEIGHT, lambda weight: weight.clone())
    _define(library, PACKED_LINEAR, packed_linear)
    return library


def _define(library: torch.library.Library, schema: str, function: Callable[..., object]) -> None:
    name = schema.partition("(")[0]
    if hasattr(getattr(torch.ops, NAMESPACE), name):
        return
    library.define(schema)
    library.impl(name, function, "CPU")


def packed_linear(
    out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, is_vnni: bool
) -> None:
    """out [tokens, n] = x [tokens, k] @ weight[n, k].T + bias [n]; vLLM hands the bias in float32."""
    out.copy_(torch.nn.functional.linear(x, weight, None if bias is None else bias.to(x.dtype)))
