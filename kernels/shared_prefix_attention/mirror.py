"""The block tables of vLLM's second model runner, on the host as well.

That runner keeps them on the device alone and hands a metadata builder a view without names. `BlockTables` is told
every block that a request gets; this subclass keeps a note. Pinned to vLLM 0.32.
"""

from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import torch
from vllm.v1.worker.gpu import model_runner
from vllm.v1.worker.gpu.block_table import BlockTables

from kernels.shared_prefix_attention.grouping import Prefixes


class MirroredBlockTables(BlockTables):
    alive: ClassVar[WeakSet["MirroredBlockTables"]] = WeakSet()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prefixes = [Prefixes(self.max_num_reqs, table.shape[1]) for table in self.input_block_tables]
        self.alive.add(self)

    def append_block_ids(self, req_index: int, new_block_ids: tuple[list[int], ...], overwrite: bool) -> None:
        super().append_block_ids(req_index, new_block_ids, overwrite)
        for prefixes, blocks in zip(self.prefixes, new_block_ids, strict=True):
            if overwrite:
                prefixes.put(req_index, [] if self.redirect_writes_to_null_block else blocks)
            elif not self.redirect_writes_to_null_block:
                prefixes.append(req_index, blocks)


def install() -> None:
    """Have runners that are made from now on mirror their tables."""
    model_runner.BlockTables = MirroredBlockTables


def find(table: torch.Tensor, among: Sequence[MirroredBlockTables] | None = None) -> Prefixes | None:
    """Whose rows this table of a step shows; slots are the runner's request indices. None: a table of another kind."""
    for tables in MirroredBlockTables.alive if among is None else among:
        for own, prefixes in zip(tables.input_block_tables, tables.prefixes, strict=True):
            if own.data_ptr() == table.data_ptr():
                return prefixes
    return None
