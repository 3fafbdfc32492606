"""How the kernels are launched: data, with the reason beside each figure. None of it is measured yet: these are
starting points worked out from Hopper's sizes, and `python -m benchmarks.kernels sweep` times their neighbours."""

from dataclasses import dataclass

from kernels.shared_prefix_attention.plan import Cutting

PROGRAMS_PER_PROCESSOR = 2  # each holds its stages in shared memory (228 KiB on Hopper), one loads while one computes
LEAST_STEPS = 4  # an item's start and its partial result (512 B per head) against 4 steps of 16 KiB per head and side


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch parameters of `attend_items`.

    rows: of the product over a shared stretch, at least those of one request; keys: positions of one step; programs:
    in the grid.
    """

    rows: int
    keys: int
    warps: int
    stages: int
    programs: int

    def tile(self, group: int) -> int:
        """Requests in a tile of a shared stretch, for `group` query heads per KV head."""
        return self.rows // (1 << (group - 1).bit_length())

    def cutting(self, group: int, kv_heads: int) -> Cutting:
        """A shared step costs arithmetic beside its bytes: rows / 64 of the time of an own step over the same keys, as
        4 * rows * keys * head_size FLOP at 800 TFLOP/s take as long as 4 * keys * head_size bytes at 4.3 TB/s when
        there are 186 rows, or half of that at the 60% that short products reach."""
        return Cutting(self.programs / kv_heads, self.tile(group), self.keys, max(1.0, self.rows / 64), LEAST_STEPS)


def choose(group: int, head_size: int, processors: int) -> Launch:
    """Stages x 2 x keys x head_size x 2 bytes, and the query tile, twice into 228 KiB."""
    rows = max(64, 1 << (group - 1).bit_length())  # 64: the least that a warpgroup's product takes
    keys = {64: 128, 128: 64, 256: 32}[head_size]  # 16 KiB of keys, 16 KiB of values
    return Launch(rows, keys, warps=4, stages=2, programs=PROGRAMS_PER_PROCESSOR * processors)
