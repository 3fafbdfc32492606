"""The backend, driven as vLLM drives it, against `reference.attention`: cache written, then read by later steps."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm.v1.attention.backend import AttentionType, CommonAttentionMetadata

from kernels.cpu import attention, plan, reference

BLOCK, HEAD = 16, 32
# (new rows, keys before them): decodes, chunks, first prompts; on, before and behind block and tile boundaries
MIXED = [(1, 0), (1, 15), (1, 16), (1, 300), (5, 0), (16, 16), (17, 15), (33, 1), (130, 0), (3, 255)]
SLOPES = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]


@dataclass
class Step:
    output: torch.Tensor
    expected: torch.Tensor  # float64, from the very numbers the backend was given
    bound: torch.Tensor  # how far rounding may move each element

    def check(self) -> None:
        assert ((self.output.double() - self.expected).abs() <= self.bound).all()


def rounding(dtype: torch.dtype, weighted: torch.Tensor, largest_score: float) -> torch.Tensor:
    """`weighted`: sum of weight * |value|. A weight is off by twice its score's error (a float32 sum over the head and
    a few operations) and rounded to dtype, as is the output; a rounding is eps / 2, and one eps is for the rest."""
    score_error = (HEAD + 8) * torch.finfo(torch.float32).eps * (1 + largest_score)
    return weighted * (2 * torch.finfo(dtype).eps + 2 * score_error) + torch.finfo(dtype).tiny


def run(
    sizes: list[tuple[int, int]], heads: int, kv_heads: int, dtype: torch.dtype, padding: int = 0, **options: Any
) -> Step:
    """Cache what came before in one step, then take the step under test. `padding`: tokens without a slot."""
    generator = torch.Generator().manual_seed(0)
    layer = attention.PagedAttention(heads, HEAD, HEAD**-0.5, kv_heads, **options)
    width = -(-max(new + before for new, before in sizes) // BLOCK)
    table = 1 + torch.randperm(len(sizes) * width, generator=generator).view(len(sizes), width).int()
    storage = torch.zeros(len(sizes) * width + 2, BLOCK, kv_heads, 2 * HEAD, dtype=dtype)  # the last block is nobody's
    cache = storage.permute(0, 2, 1, 3)
    for row, (new, before) in zip(table, sizes, strict=True):  # what the table says beyond a request is not its own
        storage[row[-(-(new + before) // BLOCK) :]] = torch.nan
    kv = [torch.randn(2, new + before, kv_heads, HEAD, generator=generator).to(dtype) for new, before in sizes]
    earlier = [pair[:, :before] for pair, (_, before) in zip(kv, sizes, strict=True)]
    new = [pair[:, before:] for pair, (_, before) in zip(kv, sizes, strict=True)]
    key, value = torch.cat(earlier, dim=1)
    forward(
        layer,
        [(before, 0) for _, before in sizes],
        torch.zeros(len(key), heads, HEAD, dtype=dtype),
        key,
        value,
        cache,
        table,
    )
    key, value = torch.nn.functional.pad(torch.cat(new, dim=1), (0, 0, 0, 0, 0, padding), value=torch.nan)
    query = torch.randn(len(key), heads, HEAD, generator=generator).to(dtype)
    output = forward(layer, sizes, query, key, value, cache, table, padding)[: len(key) - padding]
    assert not storage[[0, -1]].any()
    settings = dict(window=layer.window, soft_cap=layer.soft_cap, slopes=layer.slopes, sinks=layer.sinks)
    both = [
        reference.attention(q, k, torch.cat((v, v.abs()), dim=-1), layer.scale, **settings)
        for q, (k, v) in zip(query[: len(output)].split([new for new, _ in sizes]), kv, strict=True)
    ]
    expected, weighted = torch.cat(both).chunk(2, dim=-1)
    largest = layer.scale * float(query.norm(dim=-1).max()) * max(float(k.norm(dim=-1).max()) for k, _ in kv if len(k))
    largest += 0 if layer.slopes is None else float(layer.slopes.max()) * max(map(sum, sizes))
    return Step(output, expected, rounding(dtype, weighted, largest))


def forward(
    layer: attention.PagedAttention,
    sizes: list[tuple[int, int]],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: torch.Tensor,
    table: torch.Tensor,
    padding: int = 0,
) -> torch.Tensor:
    positions = [(r, before + i) for r, (new, before) in enumerate(sizes) for i in range(new)]
    slots = [reference.slots(table, r, p, BLOCK) for r, p in positions] + [-1] * padding
    new = torch.tensor([new for new, _ in sizes], dtype=torch.int32)
    lengths = torch.tensor([new + before for new, before in sizes], dtype=torch.int32)
    starts = torch.cat((torch.zeros(1, dtype=torch.int32), new.cumsum(0).int()))
    step = CommonAttentionMetadata(
        query_start_loc=starts,
        query_start_loc_cpu=starts,
        seq_lens=lengths,
        num_reqs=len(sizes),
        num_actual_tokens=len(slots),
        max_query_len=int(new.max()),
        max_seq_len=int(lengths.max()),
        block_table_tensor=table,
        slot_mapping=torch.tensor(slots, dtype=torch.int64),
    )
    spec = SimpleNamespace(block_size=BLOCK, real_page_size_bytes=BLOCK * cache.shape[1] * 2 * HEAD * cache.itemsize)
    metadata = attention.MetadataBuilder(spec, [], None, torch.device("cpu")).build(0, step)
    return layer.forward(None, query, key, value, cache, metadata, torch.full_like(query, torch.nan))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("heads, kv_heads", [(4, 4), (8, 2), (6, 1)])
def test_mixed_step(heads: int, kv_heads: int, dtype: torch.dtype) -> None:
    run(MIXED, heads, kv_heads, dtype).check()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "options",
    [
        {"sliding_window": 1},
        {"sliding_window": 16},
        {"sliding_window": 21},
        {"logits_soft_cap": 3.0},
        {"alibi_slopes": SLOPES},
        {"sinks": torch.linspace(-2, 4, 8)},
        {"sliding_window": 40, "logits_soft_cap": 5.0, "sinks": torch.linspace(-2, 4, 8), "alibi_slopes": SLOPES},
    ],
    ids=lambda options: "+".join(options),
)
def test_variants(options: dict[str, Any], dtype: torch.dtype) -> None:
    run(MIXED, 8, 2, dtype, **options).check()


@pytest.mark.parametrize("sizes", [[(1, 0)], [(1, 47)], [(1, 48)], [(64, 0)], [(1, 20)] * 70, [(0, 9), (2, 3), (0, 0)]])
def test_shapes_of_a_step(sizes: list[tuple[int, int]]) -> None:
    run(sizes, 8, 2, torch.float32).check()


def test_tokens_without_a_slot_are_not_cached_and_harm_nobody() -> None:
    run(MIXED, 8, 2, torch.float32, padding=7).check()


def test_masks_too_large_to_keep_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = run(MIXED, 8, 2, torch.float32, sliding_window=40).output
    monkeypatch.setattr(attention, "KEPT_MASK_BYTES", 0)
    assert torch.equal(run(MIXED, 8, 2, torch.float32, sliding_window=40).output, kept)


def test_a_request_alone_or_among_others_gets_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours decide batching and padding, which may move a result by rounding only."""
    together = run([(1, 40), (1, 300), (9, 30)], 8, 2, torch.float32)
    monkeypatch.setattr(plan, "GATHER_BYTES", 0)
    monkeypatch.setattr(plan, "TILE_ROWS", 16)
    apart = run([(1, 40), (1, 300), (9, 30)], 8, 2, torch.float32)
    Step(together.output, apart.output.double(), together.bound + apart.bound).check()


@pytest.mark.parametrize("kind", [AttentionType.ENCODER, AttentionType.ENCODER_ONLY, AttentionType.ENCODER_DECODER])
def test_other_kinds_of_attention_are_refused(kind: str) -> None:
    with pytest.raises(NotImplementedError, match=str(kind)):
        attention.PagedAttention(4, HEAD, 1.0, 4, attn_type=kind)
