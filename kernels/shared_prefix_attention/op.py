"""The operator: one decode step of one layer, for the rows that a work list covers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from kernels.shared_prefix_attention.grouping import Segment, covered
from kernels.shared_prefix_attention.launch import Launch
from kernels.shared_prefix_attention.plan import Capacity, Work

HEAD_SIZES = (64, 128, 256)
DTYPES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Buffers:
    """Device memory that outlives a step, so that CUDA graphs may point into it. One set serves all layers in turn."""

    capacity: Capacity
    work: tuple[torch.Tensor, ...]  # views of one int32 buffer: header, items, members, part_start, parts, stock
    whole: torch.Tensor  # that buffer
    out_parts: torch.Tensor  # float32 [slots, heads, head_size]
    lse_parts: torch.Tensor  # float32 [slots, heads]

    @classmethod
    def make(cls, capacity: Capacity, heads: int, head_size: int, device: torch.device) -> Self:
        """With an empty work list."""
        whole = torch.zeros(sum(capacity.sizes), dtype=torch.int32, device=device)
        work = whole.split(list(capacity.sizes))
        work[-1].fill_(1)
        out_parts = torch.empty(capacity.slots, heads, head_size, dtype=torch.float32, device=device)
        return cls(capacity, work, whole, out_parts, torch.empty_like(out_parts[..., 0]))

    @property
    def stock(self) -> torch.Tensor:
        """int32 [rows]: 1 where the stock kernel does the whole row."""
        return self.work[-1]

    def load(self, work: Work) -> None:
        """Send a work list, behind what is already on the stream. Pinned memory is not reused before it has arrived."""
        pinned = self.whole.device.type == "cuda"
        staged = torch.empty(len(self.whole), dtype=torch.int32, pin_memory=pinned)
        work.write(staged.numpy(), self.capacity)
        self.whole.copy_(staged, non_blocking=True)


def attend(
    query: torch.Tensor,
    cache: torch.Tensor,
    table: torch.Tensor,
    lengths: torch.Tensor,
    buffers: Buffers,
    output: torch.Tensor,
    scale: float,
    launch: Launch,
) -> None:
    """Write the covered rows of `output`, leave the others.

    query, output: [rows, heads, head_size], bf16 or fp16; cache: [blocks, kv_heads, block_size, 2 * head_size], key
    then value, any strides but for the last; table: int32 [rows, blocks]; lengths: int32 [rows], positions of each row,
    the query's included and in the cache.

    Raises:
        ValueError: a shape or dtype that the kernels are not made for.
    """
    _check(query, cache, table, lengths, buffers, output, launch)
    from kernels.shared_prefix_attention import kernel  # Triton is wanted only where this runs

    kernel.run(query, cache, table, lengths, buffers.work, buffers.out_parts, buffers.lse_parts, output, scale, launch)


def _check(
    query: torch.Tensor,
    cache: torch.Tensor,
    table: torch.Tensor,
    lengths: torch.Tensor,
    buffers: Buffers,
    output: torch.Tensor,
    launch: Launch,
) -> None:
    rows, heads, head_size = query.shape
    kv_heads = cache.shape[1]
    wanted = {
        f"head size {head_size}, not one of {HEAD_SIZES}": head_size in HEAD_SIZES,
        f"query of {query.dtype}, not one of {DTYPES}": query.dtype in DTYPES,
        f"cache of {cache.dtype} for a query of {query.dtype}": cache.dtype == query.dtype,
        f"{heads} heads over {kv_heads} KV heads": heads % kv_heads == 0,
        f"cache of {cache.shape[3]} values per position, not 2 x {head_size}": cache.shape[3] == 2 * head_size,
        f"output {tuple(output.shape)} for a query {tuple(query.shape)}": output.shape == query.shape,
        f"{rows} rows in a table of {len(table)}, lengths of {len(lengths)}": rows <= min(len(table), len(lengths)),
        f"{rows} rows, room for {buffers.capacity.rows}": rows <= buffers.capacity.rows,
        f"partial results {tuple(buffers.out_parts.shape)}": buffers.out_parts.shape[1:] == query.shape[1:],
        f"tiles of {launch.rows} rows for {heads // kv_heads} heads": launch.tile(heads // kv_heads) >= 1,
    }
    if faults := [fault for fault, right in wanted.items() if not right]:
        raise ValueError(f"shared_prefix_attention: {'; '.join(faults)}")


def bytes_moved(
    segments: Sequence[Segment],
    lengths: np.ndarray,
    block_size: int,
    heads: int,
    kv_heads: int,
    head_size: int,
    itemsize: int,
) -> int:
    """Bytes that one layer's step must move: each shared key and value once, each own one once, queries and outputs.

        itemsize * (2 * kv_heads * head_size * positions + 2 * rows * heads * head_size)
        positions = sum over segments of their length + sum over rows of (length - what segments cover)

    Without segments this is what plain decode must move. Partial results, a few MB that stay in the L2 cache, and the
    tables do not count.
    """
    shared = sum(segment.last - segment.first for segment in segments) * block_size
    own = int((lengths - covered(segments, len(lengths)) * block_size).sum())
    return itemsize * head_size * 2 * (kv_heads * (shared + own) + len(lengths) * heads)
