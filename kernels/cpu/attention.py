"""Paged attention in PyTorch, as a vLLM attention backend.

Per row of a request: softmax(scale * q k^T, soft-capped, biased, masked; sinks in the sum) v over the request's keys,
which lie in blocks of the cache. `reference.py` is the specification; `plan.py` says how a step is laid out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from vllm.v1.attention.backend import (
    AttentionBackend,
    AttentionImpl,
    AttentionLayer,
    AttentionMetadataBuilder,
    AttentionType,
    CommonAttentionMetadata,
    MultipleOf,
)
from vllm.v1.kv_cache_interface import KVCacheLayout

from kernels.cpu import paged
from kernels.cpu.plan import Batch, make_batches

KEPT_MASK_BYTES = 128 << 20


class PagedAttentionBackend(AttentionBackend):
    """Causal self-attention of decoders, any head size, three dtypes. vLLM's own check names what is missing."""

    supported_dtypes: ClassVar[list[torch.dtype]] = [torch.float32, torch.bfloat16, torch.float16]
    supported_kv_cache_dtypes: ClassVar[list[str]] = ["auto", "bfloat16", "float16"]
    forward_includes_kv_cache_update: bool = True

    @staticmethod
    def get_name() -> str:
        return "CUSTOM"  # the name vLLM's registry keeps for backends from outside

    @staticmethod
    def get_supported_kernel_block_sizes(kv_cache_spec: object = None) -> list[int | MultipleOf]:
        return [MultipleOf(16)]

    @classmethod
    def supported_kv_cache_layouts(cls) -> tuple[KVCacheLayout, ...]:
        return (KVCacheLayout.LBNHC,)  # a token's heads side by side: one row to write, one run per block to gather

    @classmethod
    def supports_sink(cls) -> bool:
        return True

    @classmethod
    def supports_sliding_window(cls) -> bool:
        return True

    @staticmethod
    def get_impl_cls() -> type["PagedAttention"]:
        return PagedAttention

    @staticmethod
    def get_builder_cls() -> type["MetadataBuilder"]:
        return MetadataBuilder


@dataclass
class Metadata:
    """One step of one KV cache group. What several layers need alike is made by the first and kept for the step."""

    step: CommonAttentionMetadata
    block_size: int
    token_bytes: int
    tokens: torch.Tensor | slice  # which tokens have a place in the cache
    block: torch.Tensor  # int64 [those tokens]
    offset: torch.Tensor  # int64 [those tokens], within the block
    plans: dict[int | None, tuple[Batch, ...]] = field(default_factory=dict)
    kept_masks: dict[tuple[int | None, int, torch.dtype], list[torch.Tensor | None]] = field(default_factory=dict)

    def batches(self, window: int | None) -> tuple[Batch, ...]:
        if window not in self.plans:
            step = self.step
            arrays = step.query_start_loc.numpy(), step.seq_lens.numpy(), step.block_table_tensor.numpy()
            self.plans[window] = make_batches(*arrays, self.block_size, window, self.token_bytes)
        return self.plans[window]

    def masks(self, window: int | None, group: int, dtype: torch.dtype) -> Iterable[torch.Tensor | None]:
        """One mask per batch, see `paged.make_mask`. Too large to keep for a long prompt: each layer makes them."""
        batches, key = self.batches(window), (window, group, dtype)
        made = (paged.make_mask(batch, window, group, dtype) for batch in batches)
        if sum(batch.tiles * batch.rows * batch.keys for batch in batches) * group * dtype.itemsize > KEPT_MASK_BYTES:
            return made
        if key not in self.kept_masks:
            self.kept_masks[key] = list(made)
        return self.kept_masks[key]


class MetadataBuilder(AttentionMetadataBuilder[Metadata]):
    def __init__(self, kv_cache_spec, layer_names, vllm_config, device):  # type: ignore[no-untyped-def]
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        self.block_size: int = kv_cache_spec.block_size
        self.token_bytes: int = kv_cache_spec.real_page_size_bytes // kv_cache_spec.block_size

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> Metadata:
        step = common_attn_metadata
        if step.causal is not True:
            raise NotImplementedError("attention that is not causal, on the CPU platform")
        slots = step.slot_mapping[: step.num_actual_tokens]
        tokens: torch.Tensor | slice = slice(None)
        if slots.numel() and int(slots.min()) < 0:
            tokens = (slots >= 0).nonzero().squeeze(-1)
        block, offset = slots[tokens] // self.block_size, slots[tokens] % self.block_size
        return Metadata(step, self.block_size, self.token_bytes, tokens, block, offset)


class PagedAttention(AttentionImpl[Metadata]):
    """One layer. kv_cache: [blocks, kv_heads, block_size, 2 * head_size], key then value in the last axis."""

    def __init__(
        self,
        num_heads: int,
        head_size: int,
        scale: float,
        num_kv_heads: int | None = None,
        alibi_slopes: list[float] | None = None,
        sliding_window: int | None = None,
        kv_cache_dtype: str = "auto",
        logits_soft_cap: float | None = None,
        attn_type: str = AttentionType.DECODER,
        kv_sharing_target_layer_name: str | None = None,
        sinks: torch.Tensor | None = None,
    ) -> None:
        if attn_type != AttentionType.DECODER:
            raise NotImplementedError(f"{attn_type} attention on the CPU platform")
        self.num_heads, self.head_size, self.scale = num_heads, head_size, float(scale)
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        self.group = num_heads // self.num_kv_heads
        self.slopes = None if alibi_slopes is None else torch.tensor(alibi_slopes, dtype=torch.float32)
        self.window, self.soft_cap, self.sinks = sliding_window, logits_soft_cap or None, sinks
        self.kv_cache_dtype = kv_cache_dtype
        self.kv_sharing_target_layer_name = kv_sharing_target_layer_name

    def forward(
        self,
        layer: AttentionLayer,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: Metadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """query: [tokens, heads, head_size]; key, value: [tokens, kv_heads, head_size]; fills output, like query."""
        if output_scale is not None or output_block_scale is not None:
            raise NotImplementedError("quantised attention output on the CPU platform")
        if attn_metadata is None:  # vLLM's dry run, before there is a cache
            return output.zero_()
        cache = kv_cache.permute(0, 2, 1, 3)  # [blocks, block_size, kv_heads, 2 * head_size]
        if self.kv_sharing_target_layer_name is None:
            kv = torch.cat((key, value), dim=-1)[: attn_metadata.step.num_actual_tokens]
            paged.write_kv(cache, kv[attn_metadata.tokens], attn_metadata.block, attn_metadata.offset)
        masks = attn_metadata.masks(self.window, self.group, query.dtype)
        for batch, mask in zip(attn_metadata.batches(self.window), masks, strict=True):
            self._attend(batch, mask, query, cache, output)
        return output

    def _attend(
        self, batch: Batch, mask: torch.Tensor | None, query: torch.Tensor, cache: torch.Tensor, output: torch.Tensor
    ) -> None:
        q = paged.fold(query.index_select(0, batch.query_rows), batch, self.num_kv_heads)
        k, v = paged.gather(cache, batch, q.dtype)
        result = paged.unfold(self._softmax(batch, q, k, v, mask), batch)
        rows = batch.query_rows if batch.real is None else batch.query_rows[batch.real]
        output.index_copy_(0, rows, result if batch.real is None else result[batch.real])

    def _softmax(
        self, batch: Batch, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if self.soft_cap is None and self.slopes is None and self.sinks is None:
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
        scores = paged.capped_scores(q, k, self.scale, self.soft_cap)
        if self.slopes is not None:
            scores = scores + paged.alibi(batch, self.slopes, self.num_kv_heads)
        if mask is not None:
            scores = scores + mask
        sinks = None if self.sinks is None else paged.fold_heads(self.sinks.float(), batch.rows, self.num_kv_heads)
        return (paged.probabilities(scores, sinks) @ v.float()).to(q.dtype)
