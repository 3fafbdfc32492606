"""How one step's attention is laid out: requests cut into tiles, tiles of like size put into padded batches.

A tile is a run of query rows of one request with the keys they may see. A decode is a tile of one row; a prefill is cut
so that early rows do not pay for late keys. A batch then costs one gather and one attention call, however many tiles it
holds: a step of 200 decodes is a handful of calls per layer, and a step of one decode is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

TILE_ROWS = 128
TILE_CELLS = 1 << 20  # rows x keys of one tile: bounds its mask where the context is very long
GATHER_BYTES = 8 << 20  # keys and values of one batch: stays in the cache, and the allocator keeps reusing the memory
SPARE_CELLS = 4096  # padding worth less than another call
SPARE_SHARE = 0.25  # padding allowed as a share of the real work


@dataclass(frozen=True)
class Tiles:
    """Parallel int64 arrays [tiles]."""

    request: np.ndarray
    first_row: np.ndarray  # in the step's query tensor
    rows: np.ndarray
    first_block: np.ndarray  # in the request's block table; blocks before it are outside the window
    end: np.ndarray  # position after the last visible key, which is that of the last row

    def keys(self, block_size: int) -> np.ndarray:
        return self.end - self.first_block * block_size


@dataclass(frozen=True)
class Batch:
    """Tiles padded to the same number of rows and keys."""

    tiles: int
    rows: int
    keys: int
    query_rows: torch.Tensor  # int64 [tiles * rows], padding points to the tile's first row
    real: torch.Tensor | None  # int64 [...]: which of them are no padding; None: all
    blocks: torch.Tensor  # int64 [tiles * blocks], padding points to block 0, which vLLM keeps empty
    first_query: torch.Tensor  # int32 [tiles]: position of the first row
    first_key: torch.Tensor  # int32 [tiles]: position of the first gathered key

    def distance(self) -> torch.Tensor:
        """int32 [tiles, rows, keys]: key position - query position, 0 for a row's own key and negative for the past."""
        key = self.first_key[:, None] + torch.arange(self.keys, dtype=torch.int32)
        query = self.first_query[:, None] + torch.arange(self.rows, dtype=torch.int32)
        return key[:, None, :] - query[:, :, None]


def make_batches(
    query_start: np.ndarray,
    lengths: np.ndarray,
    table: np.ndarray,
    block_size: int,
    window: int | None,
    token_bytes: int,
) -> tuple[Batch, ...]:
    """Batches that cover every query row once.

    query_start: int [requests + 1]; lengths: int [requests], keys of each request, the new ones included;
    table: int [requests, blocks]; window: keys a row sees, itself included; token_bytes: key and value of one token.
    """
    tiles = cut(query_start.astype(np.int64), lengths.astype(np.int64), block_size, window)
    return tuple(_pad(tiles, chosen, table, block_size) for chosen in group(tiles, block_size, token_bytes))


def cut(query_start: np.ndarray, lengths: np.ndarray, block_size: int, window: int | None) -> Tiles:
    height = max(16, min(TILE_ROWS, TILE_CELLS // max(1, int(lengths.max(initial=1)))))
    queries = np.diff(query_start)
    counts = -(-queries // height)
    request = np.repeat(np.arange(len(queries)), counts)
    done = (np.arange(len(request)) - np.repeat(np.cumsum(counts) - counts, counts)) * height
    rows = np.minimum(height, queries[request] - done)
    end = lengths[request] - queries[request] + done + rows
    first_key = np.zeros_like(end) if window is None else np.maximum(0, end - rows - window + 1)
    return Tiles(request, query_start[request] + done, rows, first_key // block_size, end)


def group(tiles: Tiles, block_size: int, token_bytes: int) -> Iterator[np.ndarray]:
    """Indices of tiles that go together: sorted by size, a batch grows while padding and memory stay small."""
    keys = tiles.keys(block_size)
    order = np.lexsort((keys, tiles.rows))
    start = real = width = 0
    for i, (rows, own) in enumerate(zip(tiles.rows[order].tolist(), keys[order].tolist(), strict=True)):
        count, width = i - start + 1, max(width, own)
        padding = count * rows * width - real - rows * own
        if count > 1 and (padding > SPARE_CELLS + SPARE_SHARE * real or count * width * token_bytes > GATHER_BYTES):
            yield order[start:i]
            start, real, width = i, 0, own
        real += rows * own
    if start < len(order):
        yield order[start:]


def _pad(tiles: Tiles, chosen: np.ndarray, table: np.ndarray, block_size: int) -> Batch:
    first_row, first_block = tiles.first_row[chosen], tiles.first_block[chosen]
    rows, keys, end = tiles.rows[chosen], tiles.keys(block_size)[chosen], tiles.end[chosen]
    row = np.arange(rows.max())
    present = row < rows[:, None]
    return Batch(
        tiles=len(chosen),
        rows=len(row),
        keys=int(keys.max()),
        query_rows=torch.from_numpy((first_row[:, None] + row * present).ravel()),
        real=None if present.all() else torch.from_numpy(np.flatnonzero(present)),
        blocks=_blocks(table[tiles.request[chosen]], first_block, end, block_size, int(keys.max())),
        first_query=torch.from_numpy((end - rows).astype(np.int32)),
        first_key=torch.from_numpy((first_block * block_size).astype(np.int32)),
    )


def _blocks(table: np.ndarray, first: np.ndarray, end: np.ndarray, block_size: int, width: int) -> torch.Tensor:
    column = first[:, None] + np.arange(-(-width // block_size))
    inside = np.minimum(column, table.shape[1] - 1)
    used = column * block_size < end[:, None]
    return torch.from_numpy(np.where(used, np.take_along_axis(table, inside, axis=1), 0).ravel().astype(np.int64))
