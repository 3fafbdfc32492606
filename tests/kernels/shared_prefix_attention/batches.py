"""Batches with shared prefixes over a cache of random numbers, in which whatever no request owns is poison."""

from dataclasses import dataclass

import numpy as np
import torch

from kernels.shared_prefix_attention.grouping import Prefixes, Segment, find_segments

Family = tuple[int, tuple[int, ...]]  # positions shared, and the positions that each request has beyond them


@dataclass(frozen=True)
class Batch:
    query: torch.Tensor
    cache: torch.Tensor
    table: torch.Tensor
    lengths: torch.Tensor
    prefixes: Prefixes
    block_size: int
    scale: float

    @property
    def slots(self) -> np.ndarray:
        return np.arange(len(self.query))

    def segments(self, least: int = 2, tokens: int = 1) -> tuple[Segment, ...]:
        usable = (self.lengths.numpy().astype(np.int64) - 1) // self.block_size
        return find_segments(
            self.prefixes, self.slots, usable, lambda _, blocks: blocks * self.block_size >= tokens, least
        )


def make_batch(
    tree: list["Tree"],
    heads: int = 4,
    kv_heads: int = 2,
    head_size: int = 64,
    block_size: int = 16,
    dtype: torch.dtype = torch.float16,
    seed: int = 0,
    token_major: bool = False,
) -> Batch:
    """tree: see `Tree`. token_major: the cache holds a position's heads side by side."""
    generator = torch.Generator().manual_seed(seed)
    rows = [row for branch in tree for row in branch.rows(block_size)]
    order = torch.randperm(len(rows), generator=generator).tolist()
    rows = [rows[i] for i in order]
    names = sorted({name for _, blocks in rows for name in blocks}, key=str)
    ids = dict(zip(names, (torch.randperm(len(names), generator=generator) + 1).tolist(), strict=True))
    width = max(len(blocks) for _, blocks in rows) + 2
    table = np.zeros((len(rows), width), np.int32)
    prefixes = Prefixes(len(rows), width)
    lengths = np.array([length for length, _ in rows], np.int32)
    shape = (len(names) + 2, block_size, kv_heads, 2 * head_size)
    cache = torch.full(shape, torch.nan, dtype=dtype).transpose(1, 2)
    if not token_major:
        cache = cache.contiguous()
    for row, (length, blocks) in enumerate(rows):
        table[row, : len(blocks)] = [ids[name] for name in blocks]
        prefixes.put(row, table[row, : len(blocks)])
        for i, block in enumerate(table[row, : len(blocks)].tolist()):
            filled = min(block_size, length - i * block_size)
            if cache[block, 0, 0].isnan().any():
                values = torch.randn(kv_heads, filled, 2 * head_size, generator=generator)
                cache[block, :, :filled] = values.to(dtype)
    query = torch.randn(len(rows), heads, head_size, generator=generator).to(dtype)
    tensors = torch.from_numpy(table), torch.from_numpy(lengths)
    return Batch(query, cache, *tensors, prefixes, block_size, head_size**-0.5)


@dataclass(frozen=True)
class Tree:
    """Requests that begin alike. blocks: full blocks that they share; own: positions that each leaf has beyond all
    that it shares; below: trees that continue from here."""

    blocks: int
    own: tuple[int, ...] = ()
    below: tuple["Tree", ...] = ()

    def rows(self, block_size: int, above: tuple[object, ...] = (), path: str = "r") -> list[tuple[int, list[object]]]:
        """(positions, names of blocks) of each request."""
        shared = (*above, *((path, id(self), i) for i in range(self.blocks)))
        found = []
        for leaf, own in enumerate(self.own):
            blocks = [*shared, *((path, id(self), "own", leaf, i) for i in range(-(-own // block_size)))]
            found.append((len(shared) * block_size + own, blocks))
        for i, tree in enumerate(self.below):
            found += tree.rows(block_size, shared, f"{path}.{i}")
        return found


SHAPES = {
    "one request": [Tree(0, own=(37,))],
    "no sharing": [Tree(0, own=(1, 16, 17, 50))],
    "all shared": [Tree(5, own=(1, 1, 1, 1, 1))],
    "ends inside a block": [Tree(3, own=(5, 15, 16, 33))],
    "two groups and a loner": [Tree(4, own=(3, 20)), Tree(2, own=(9, 9, 31)), Tree(0, own=(40,))],
    "nested": [Tree(2, own=(7,), below=(Tree(3, own=(1, 18)), Tree(4, own=(2, 30, 5), below=(Tree(1, own=(4, 8)),))))],
    "a group larger than a tile": [Tree(3, own=tuple(range(1, 20)))],
}
