"""What the operators of this folder compute, written as the formulas read: float64, one request, one head, one row.

The tests compare against these and nothing in the engine calls them.
"""

import torch


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    window: int | None = None,
    soft_cap: float | None = None,
    slopes: torch.Tensor | None = None,
    sinks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Causal attention of one request.

    query: [rows, heads, d], the request's last rows; key: [keys, kv_heads, d]; value: [keys, kv_heads, e]; window: keys
    a row sees, itself included; slopes, sinks: [heads]. Returns float64 [rows, heads, e].
    """
    rows, heads, _ = query.shape
    keys, kv_heads, _ = key.shape
    out = torch.empty(rows, heads, value.shape[-1], dtype=torch.float64)
    for row in range(rows):
        position = keys - rows + row
        first = 0 if window is None else max(0, position - window + 1)
        seen = torch.arange(first, position + 1)
        for head in range(heads):
            shared = head // (heads // kv_heads)
            scores = scale * (key[seen, shared].double() @ query[row, head].double())
            if soft_cap is not None:
                scores = soft_cap * torch.tanh(scores / soft_cap)
            if slopes is not None:
                scores = scores + slopes[head].double() * (seen - position)
            weights = scores.exp()
            total = weights.sum() + (0 if sinks is None else sinks[head].double().exp())
            out[row, head] = (weights / total) @ value[seen, shared].double()
    return out


def slots(table: torch.Tensor, request: int, position: int, block_size: int) -> int:
    """Where the cache keeps this position of this request; table: [requests, blocks]."""
    return int(table[request, position // block_size]) * block_size + position % block_size


def kept_by_top_k_top_p(logits: torch.Tensor, top_k: int, top_p: float) -> set[int]:
    """Ids a row may draw: the k largest, of which the smallest set whose renormalised mass reaches p."""
    order = logits.double().argsort(descending=True)[:top_k].tolist()
    masses = logits.double()[order].softmax(dim=0).tolist()
    kept, mass = set(), 0.0
    for token, own in zip(order, masses, strict=True):
        if mass >= top_p:
            break
        kept.add(token)
        mass += own
    return kept
