"""What this folder computes, as the formulas read: float64, eager, on any device. The tests and the benchmark compare
with these; nothing in the engine calls them.

A decode step has one query row per request r. With keys and values of positions [0, n) of the request,

    s_i = scale * q . k_i        lse = log sum_i exp(s_i)        out = sum_i exp(s_i - lse) v_i

and for any split of the positions into parts p with their own (out_p, lse_p),

    lse = log sum_p exp(lse_p)   out = sum_p exp(lse_p - lse) out_p

so the part that requests share may be read once for all of them and merged with each one's own part afterwards.

Cache: [blocks, kv_heads, block_size, 2 * head_size], key then value in the last axis (vLLM's, seen logically).
"""

from collections.abc import Iterable, Sequence

import torch

from kernels.shared_prefix_attention.grouping import Segment
from kernels.shared_prefix_attention.plan import Work

Part = tuple[torch.Tensor, torch.Tensor]


def decode(
    query: torch.Tensor, cache: torch.Tensor, table: torch.Tensor, lengths: torch.Tensor, scale: float
) -> torch.Tensor:
    """Plain paged decode, the oracle.

    query: [requests, heads, d]; table: int [requests, blocks]; lengths: int [requests], the query's own position
    included. Returns float64 [requests, heads, d].
    """
    ends = lengths.tolist()
    return torch.stack([attend(query[r], *keys(cache, table[r], 0, end), scale)[0] for r, end in enumerate(ends)])


def shared_prefix_decode(
    query: torch.Tensor,
    cache: torch.Tensor,
    table: torch.Tensor,
    lengths: torch.Tensor,
    segments: Sequence[Segment],
    scale: float,
) -> torch.Tensor:
    """The same with each segment read once, by the blocks of its first row. Arguments and result as for `decode`."""
    block_size = cache.shape[2]
    parts: list[list[Part]] = [[] for _ in range(len(query))]
    begin = [0] * len(query)
    for segment in segments:
        rows, lead = segment.rows.tolist(), table[int(segment.rows[0])]
        kv = keys(cache, lead, segment.first * block_size, segment.last * block_size)
        for row in rows:
            parts[row].append(attend(query[row], *kv, scale))
            begin[row] = max(begin[row], segment.last * block_size)
    for row, end in enumerate(lengths.tolist()):
        parts[row].append(attend(query[row], *keys(cache, table[row], begin[row], end), scale))
    return torch.stack([merge(own)[0] for own in parts])


def run_work(
    query: torch.Tensor, cache: torch.Tensor, table: torch.Tensor, lengths: torch.Tensor, work: Work, scale: float
) -> dict[int, torch.Tensor]:
    """Carries out a work list item by item, as the kernel does. Returns the rows it covers: float64 [heads, d] each."""
    slots: dict[int, Part] = {}
    for item in work.items.tolist():
        lead, first, last, start, count, slot = item[:6]
        kv = keys(cache, table[lead], first, min(last, int(lengths[lead])))
        for i, row in enumerate(work.members[start : start + count].tolist()):
            slots[slot + i] = attend(query[row], *kv, scale)
    ranges = zip(work.part_start[:-1].tolist(), work.part_start[1:].tolist(), strict=True)
    chosen = {row: work.parts[begin:end].tolist() for row, (begin, end) in enumerate(ranges) if end > begin}
    return {row: merge(slots[slot] for slot in mine)[0] for row, mine in chosen.items()}


def keys(cache: torch.Tensor, blocks: torch.Tensor, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of positions [first, last) of a row of the table: two of float64 [positions, kv_heads, d]."""
    size = cache.shape[2]
    position = torch.arange(first, max(first, last), device=cache.device)
    kv = cache[blocks[position // size].long(), :, position % size].double()
    return kv.chunk(2, dim=-1)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> Part:
    """query: [heads, d]; key, value: [positions, kv_heads, d]. Of no position: 0 and -inf."""
    group = query.shape[0] // key.shape[1]
    key, value = key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)
    scores = scale * torch.einsum("hd,nhd->hn", query.double(), key)
    lse = torch.logsumexp(scores, dim=1)
    weights = torch.exp(scores - lse[:, None]) if len(key) else scores
    return torch.einsum("hn,nhd->hd", weights, value), lse


def merge(parts: Iterable[Part]) -> Part:
    """Parts of one row, at least one of them with a position."""
    outs, lses = (torch.stack(list(column)) for column in zip(*parts, strict=True))
    lse = torch.logsumexp(lses, dim=0)
    return (torch.exp(lses - lse)[..., None] * outs).sum(dim=0), lse
