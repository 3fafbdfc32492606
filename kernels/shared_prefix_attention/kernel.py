"""Decode attention over a work list: two Triton kernels.

For one item (a stretch of keys K, V and the query rows q of some requests, all heads that share a KV head)

    s = q K^T * scale * log2(e)    m = max s    l = sum exp2(s - m)    acc = sum exp2(s - m) V

block by block with a running maximum (Milakov and Gimelshein 2018; FlashAttention, Dao 2022), and one partial result
(acc / l, m + log2 l) for each of its requests; then for each row the parts p are merged (FlashDecoding, Dao 2023)

    out = sum_p exp2(lse_p - lse) out_p,    lse = log2 sum_p exp2(lse_p)

The product of a stretch that requests share has (requests x heads per KV head) rows, so the keys are read once for all
of them and the tensor cores have something to do (Hydragen, Juravsky 2024). Stretches of one request take the same way
with the rows of one KV head. Logarithms are to base 2 here.

Bytes that must move: see `bytes_moved` in `op.py`.
"""

import torch
import triton
import triton.language as tl

from kernels.shared_prefix_attention.launch import Launch
from kernels.shared_prefix_attention.plan import ITEM


@triton.jit
def _attend(
    query,
    cache,
    table,
    lengths,
    item,
    members,
    out_parts,
    lse_parts,
    kv_head,
    scale,
    query_row,
    query_head,
    cache_block,
    cache_head,
    cache_token,
    table_row,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    GROUP_PADDED: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
):
    """One item for one KV head. ROWS: of the product; a member has GROUP_PADDED of them, the first GROUP are real."""
    lead = tl.load(item)
    first = tl.load(item + 1)
    last = tl.minimum(tl.load(item + 2), tl.load(lengths + lead))
    start = tl.load(item + 3)
    count = tl.load(item + 4)
    slot = tl.load(item + 5).to(tl.int64)

    row = tl.arange(0, ROWS)
    member = row // GROUP_PADDED
    head = row % GROUP_PADDED
    real = (member < count) & (head < GROUP)
    request = tl.load(members + start + member, mask=member < count, other=0).to(tl.int64)
    d = tl.arange(0, HEAD_SIZE)
    q_at = request * query_row + (kv_head * GROUP + head) * query_head
    q = tl.load(query + q_at[:, None] + d[None, :], mask=real[:, None], other=0.0)

    highest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, HEAD_SIZE], tl.float32)
    blocks = table + lead.to(tl.int64) * table_row
    for begin in range(first, last, KEYS):
        position = begin + tl.arange(0, KEYS)
        inside = position < last
        block = tl.load(blocks + position // BLOCK_SIZE, mask=inside, other=0).to(tl.int64)
        at = block * cache_block + kv_head * cache_head + (position % BLOCK_SIZE) * cache_token
        k = tl.load(cache + at[None, :] + d[:, None], mask=inside[None, :], other=0.0)
        s = tl.dot(q, k) * scale
        s = tl.where(inside[None, :], s, float("-inf"))
        rising = tl.maximum(highest, tl.max(s, axis=1))  # finite: a step has at least one position inside
        p = tl.exp2(s - rising[:, None])
        decay = tl.exp2(highest - rising)
        total = total * decay + tl.sum(p, axis=1)
        v = tl.load(cache + at[:, None] + (HEAD_SIZE + d)[None, :], mask=inside[:, None], other=0.0)
        acc = tl.dot(p.to(v.dtype), v, acc * decay[:, None])
        highest = rising

    seen = total > 0.0
    divisor = tl.where(seen, total, 1.0)
    lse = tl.where(seen, highest + tl.log2(divisor), float("-inf"))
    place = ((slot + member) * KV_HEADS + kv_head) * GROUP + head
    tl.store(lse_parts + place, lse, mask=real)
    tl.store(out_parts + place[:, None] * HEAD_SIZE + d[None, :], acc / divisor[:, None], mask=real[:, None])


@triton.jit
def attend_items(
    query,
    cache,
    table,
    lengths,
    header,
    items,
    members,
    out_parts,
    lse_parts,
    scale,
    query_row,
    query_head,
    cache_block,
    cache_head,
    cache_token,
    table_row,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    GROUP_PADDED: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    ITEM_SIZE: tl.constexpr,
    SHARED_ROWS: tl.constexpr,
    OWN_ROWS: tl.constexpr,
    KEYS: tl.constexpr,
):
    """All items times all KV heads, by a fixed number of programs: whichever is free takes the next one."""
    shared = tl.load(header) * KV_HEADS
    units = tl.load(header + 1) * KV_HEADS
    unit = tl.atomic_add(header + 2, 1, sem="relaxed")
    while unit < units:
        item = items + (unit // KV_HEADS) * ITEM_SIZE
        kv_head = unit % KV_HEADS
        if unit < shared:
            _attend(
                query,
                cache,
                table,
                lengths,
                item,
                members,
                out_parts,
                lse_parts,
                kv_head,
                scale,
                query_row,
                query_head,
                cache_block,
                cache_head,
                cache_token,
                table_row,
                KV_HEADS,
                GROUP,
                GROUP_PADDED,
                HEAD_SIZE,
                BLOCK_SIZE,
                SHARED_ROWS,
                KEYS,
            )
        else:
            _attend(
                query,
                cache,
                table,
                lengths,
                item,
                members,
                out_parts,
                lse_parts,
                kv_head,
                scale,
                query_row,
                query_head,
                cache_block,
                cache_head,
                cache_token,
                table_row,
                KV_HEADS,
                GROUP,
                GROUP_PADDED,
                HEAD_SIZE,
                BLOCK_SIZE,
                OWN_ROWS,
                KEYS,
            )
        unit = tl.atomic_add(header + 2, 1, sem="relaxed")


@triton.jit
def merge_parts(
    header,
    out_parts,
    lse_parts,
    part_start,
    parts,
    output,
    output_row,
    output_head,
    HEADS: tl.constexpr,
    HEADS_PADDED: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
):
    """One row and HEADS_PADDED of its heads; rows without parts are left as they are. Turns back the counter of units
    for the next layer, since all programs of `attend_items` have ended."""
    row = tl.program_id(0)
    if row + tl.program_id(1) == 0:
        tl.store(header + 2, 0)
    begin = tl.load(part_start + row)
    end = tl.load(part_start + row + 1)
    if begin < end:
        head = tl.program_id(1) * HEADS_PADDED + tl.arange(0, HEADS_PADDED)
        real = head < HEADS
        d = tl.arange(0, HEAD_SIZE)
        highest = tl.full([HEADS_PADDED], float("-inf"), tl.float32)
        total = tl.zeros([HEADS_PADDED], tl.float32)
        acc = tl.zeros([HEADS_PADDED, HEAD_SIZE], tl.float32)
        for i in range(begin, end):
            place = tl.load(parts + i).to(tl.int64) * HEADS + head
            lse = tl.load(lse_parts + place, mask=real, other=float("-inf"))
            out = tl.load(out_parts + place[:, None] * HEAD_SIZE + d[None, :], mask=real[:, None], other=0.0)
            rising = tl.maximum(highest, lse)
            base = tl.where(rising == float("-inf"), 0.0, rising)  # as long as every part was empty
            decay = tl.exp2(highest - base)
            weight = tl.exp2(lse - base)
            total = total * decay + weight
            acc = acc * decay[:, None] + weight[:, None] * out
            highest = rising
        to = output + row.to(tl.int64) * output_row + head * output_head
        merged = acc / tl.where(total > 0.0, total, 1.0)[:, None]
        tl.store(to[:, None] + d[None, :], merged.to(output.dtype.element_ty), mask=real[:, None])


MERGED_HEADS = 8  # of one program: enough bytes per load, and 64 x 4 programs for 64 rows of 32 heads


def run(
    query: torch.Tensor,
    cache: torch.Tensor,
    table: torch.Tensor,
    lengths: torch.Tensor,
    work: tuple[torch.Tensor, ...],
    out_parts: torch.Tensor,
    lse_parts: torch.Tensor,
    output: torch.Tensor,
    scale: float,
    launch: Launch,
) -> None:
    """Launch both kernels; shapes as in `op.attend`, which has checked them. Nothing here depends on the work itself.

    work: header, items, members, part_start, parts, stock, int32. out_parts: float32 [slots, heads, head_size];
    lse_parts: float32 [slots, heads].
    """
    rows, heads, head_size = query.shape
    _, kv_heads, block_size, _ = cache.shape
    header, items, members, part_start, parts, _ = work
    assert query.stride(2) == cache.stride(3) == table.stride(1) == output.stride(2) == 1
    assert out_parts.is_contiguous() and lse_parts.is_contiguous()
    group = heads // kv_heads
    padded = triton.next_power_of_2(group)
    attend_items[(launch.programs,)](
        query,
        cache,
        table,
        lengths,
        header,
        items,
        members,
        out_parts,
        lse_parts,
        scale * 1.4426950408889634,
        query.stride(0),
        query.stride(1),
        cache.stride(0),
        cache.stride(1),
        cache.stride(2),
        table.stride(0),
        KV_HEADS=kv_heads,
        GROUP=group,
        GROUP_PADDED=padded,
        HEAD_SIZE=head_size,
        BLOCK_SIZE=block_size,
        ITEM_SIZE=ITEM,
        SHARED_ROWS=launch.rows,
        OWN_ROWS=max(16, padded),
        KEYS=launch.keys,
        num_warps=launch.warps,
        num_stages=launch.stages,
    )
    merge_parts[(rows, triton.cdiv(heads, MERGED_HEADS))](
        header,
        out_parts,
        lse_parts,
        part_start,
        parts,
        output,
        output.stride(0),
        output.stride(1),
        HEADS=heads,
        HEADS_PADDED=MERGED_HEADS,
        HEAD_SIZE=head_size,
        num_warps=4,
    )
