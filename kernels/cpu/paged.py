"""The pieces of paged attention: pure functions on tensors, one padded batch at a time.

Heads that share a key are folded into the rows, so that no key is copied: [tiles, kv_heads, rows * group, d].
"""

import torch

from kernels.cpu.plan import Batch


def write_kv(cache: torch.Tensor, kv: torch.Tensor, block: torch.Tensor, offset: torch.Tensor) -> None:
    """cache: [blocks, block_size, kv_heads, 2 * d]; kv: [tokens, kv_heads, 2 * d]; block, offset: int64 [tokens]."""
    cache[block, offset] = kv.to(cache.dtype)


def gather(cache: torch.Tensor, batch: Batch, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values, each [tiles, kv_heads, keys, head_size]."""
    blocks = cache.index_select(0, batch.blocks)
    kv = blocks.view(batch.tiles, -1, *blocks.shape[2:])[:, : batch.keys].transpose(1, 2).to(dtype)
    key, value = kv.chunk(2, dim=-1)
    return key, value


def capped_scores(q: torch.Tensor, k: torch.Tensor, scale: float, soft_cap: float | None) -> torch.Tensor:
    """float32 [tiles, kv_heads, rows, keys] of q [tiles, kv_heads, rows, d] and k [tiles, kv_heads, keys, d]."""
    scores = scale * (q.float() @ k.float().mT)
    return scores if soft_cap is None else soft_cap * torch.tanh(scores / soft_cap)


def probabilities(scores: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    """Softmax over the keys; a sink [kv_heads, rows, 1] is one more score that takes its share and gives no value."""
    if sinks is None:
        return scores.softmax(dim=-1)
    return torch.cat((scores, sinks.expand(len(scores), -1, -1, -1)), dim=-1).softmax(dim=-1)[..., :-1]


def fold(q: torch.Tensor, batch: Batch, kv_heads: int) -> torch.Tensor:
    """[tiles * rows, heads, d] -> [tiles, kv_heads, rows * group, d]: heads that share a key become rows."""
    split = q.view(batch.tiles, batch.rows, kv_heads, -1, q.shape[-1])
    return split.transpose(1, 2).flatten(2, 3)


def unfold(q: torch.Tensor, batch: Batch) -> torch.Tensor:
    """[tiles, kv_heads, rows * group, d] -> [tiles * rows, heads, d]."""
    return q.unflatten(2, (batch.rows, -1)).transpose(1, 2).flatten(2, 3).flatten(0, 1)


def fold_heads(per_head: torch.Tensor, rows: int, kv_heads: int) -> torch.Tensor:
    """[heads] -> [kv_heads, rows * group, 1]."""
    return per_head.view(kv_heads, 1, -1).expand(-1, rows, -1).reshape(kv_heads, -1, 1)


def make_mask(batch: Batch, window: int | None, group: int, dtype: torch.dtype) -> torch.Tensor | None:
    """[tiles, 1, rows * group, keys]: 0 where a row sees a key and -inf where not; None: every row sees all."""
    distance = batch.distance()
    hidden = distance > 0
    if window is not None:
        hidden |= distance <= -window
    if not hidden.any():
        return None
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf)
    return mask.unsqueeze(1) if batch.rows == 1 else mask.repeat_interleave(group, dim=1).unsqueeze(1)


def alibi(batch: Batch, slopes: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """[tiles, kv_heads, rows * group, keys]: slope of the head times the distance, which is negative for the past."""
    distance = batch.distance().repeat_interleave(len(slopes) // kv_heads, dim=1)
    return fold_heads(slopes, batch.rows, kv_heads) * distance.unsqueeze(1)
