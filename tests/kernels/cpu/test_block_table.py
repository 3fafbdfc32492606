import pytest
import torch

from kernels.cpu import reference
from kernels.cpu.block_table import slot_mapping

BLOCK, PAD = 16, -1


def mapped(sizes: list[tuple[int, int]], table: torch.Tensor, room: int, ranks: int = 1) -> torch.Tensor:
    new = torch.tensor([new for new, _ in sizes], dtype=torch.int32)
    starts = torch.cat((torch.zeros(1, dtype=torch.int32), new.cumsum(0).int()))
    positions = torch.tensor([before + i for new, before in sizes for i in range(new)], dtype=torch.int64)
    out = torch.full((room,), 12345)
    slot_mapping(
        len(positions), room, starts, positions, table, table.shape[1], out, BLOCK, ranks, 0, 1, PAD, BLOCK_SIZE=1024
    )
    return out


@pytest.mark.parametrize(
    "sizes", [[(1, 0)], [(1, 15), (1, 16)], [(40, 8), (0, 3), (1, 63)], [(0, 0)], [(17, 0), (64, 0)]]
)
def test_slots_are_those_of_the_table_and_the_rest_is_padding(sizes: list[tuple[int, int]]) -> None:
    table = torch.randperm(5 * len(sizes)).view(len(sizes), 5).int()
    out = mapped(sizes, table, room=100)
    expected = [reference.slots(table, r, before + i, BLOCK) for r, (n, before) in enumerate(sizes) for i in range(n)]
    assert out.tolist() == expected + [PAD] * (100 - len(expected))


def test_context_parallelism_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="context parallelism"):
        mapped([(1, 0)], torch.zeros(1, 1, dtype=torch.int32), room=1, ranks=2)
