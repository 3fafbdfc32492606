"""The vLLM attention backend: FlashAttention, and in steps of decode alone ours for the rows that share.

Full CUDA graphs replay whatever was captured, so both kernels are in a graph and the data decides: a row with parts in
the work list has length 0 for FlashAttention, which skips it, and a row without is none of ours. All that changes from
step to step lies in buffers that live as long as the builder. Batches that are too small to share by the gate have
graphs without our kernels.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from vllm.config import VllmConfig, get_layers_from_vllm_config
from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.v1.attention.backend import AttentionCGSupport, AttentionType, CommonAttentionMetadata
from vllm.v1.attention.backends.flash_attn import (
    FlashAttentionBackend,
    FlashAttentionImpl,
    FlashAttentionMetadata,
    FlashAttentionMetadataBuilder,
)
from vllm.v1.kv_cache_interface import AttentionSpec

from kernels.shared_prefix_attention import CONFIG, mirror
from kernels.shared_prefix_attention.counters import Counters
from kernels.shared_prefix_attention.gate import Gate
from kernels.shared_prefix_attention.grouping import Prefixes
from kernels.shared_prefix_attention.launch import Launch, choose
from kernels.shared_prefix_attention.op import HEAD_SIZES, Buffers, attend
from kernels.shared_prefix_attention.plan import Capacity
from kernels.shared_prefix_attention.planner import Planner

logger = init_logger(__name__)


class SharedPrefixBackend(FlashAttentionBackend):
    supported_kv_cache_dtypes: ClassVar[list[Any]] = ["auto", "float16", "bfloat16"]

    @staticmethod
    def get_name() -> str:
        return "CUSTOM"

    @classmethod
    def supports_head_size(cls, head_size: int) -> bool:
        return head_size in HEAD_SIZES

    @classmethod
    def supports_sink(cls) -> bool:
        return False

    @staticmethod
    def get_impl_cls() -> type["SharedPrefixAttention"]:
        return SharedPrefixAttention

    @staticmethod
    def get_builder_cls() -> type["SharedPrefixBuilder"]:
        return SharedPrefixBuilder


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the second kernel of a step needs. lengths: int32 [rows], the true ones."""

    buffers: Buffers
    lengths: torch.Tensor
    launch: Launch


@dataclass
class SharedPrefixMetadata(FlashAttentionMetadata):
    """`seq_lens` is 0 for rows that `sharing` covers."""

    sharing: Sharing | None = None


class SharedPrefixBuilder(FlashAttentionMetadataBuilder):
    # Not ALWAYS: graphs of mixed batches would hold the stock kernel alone, and then be replayed for decode.
    _cudagraph_support = AttentionCGSupport.UNIFORM_BATCH

    def __init__(
        self, kv_cache_spec: AttentionSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device
    ) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        refuse(vllm_config)
        config = vllm_config.additional_config[CONFIG]
        self._gate = Gate.of(config["gate"])
        properties = torch.cuda.get_device_properties(device)
        if self._gate.device != properties.name:
            raise ValueError(f"the gate was measured on {self._gate.device}, this is {properties.name}")
        mirror.install()
        rows = vllm_config.scheduler_config.max_num_seqs
        capacity = Capacity.of(rows)
        group = self.num_heads_q // self.num_heads_kv
        self._launch = choose(group, self.headdim, properties.multi_processor_count)
        self._buffers = Buffers.make(capacity, self.num_heads_q, self.headdim, device)
        self._stock_lengths = torch.zeros(rows, dtype=torch.int32, device=device)
        cutting = self._launch.cutting(group, self.num_heads_kv)
        self._planner = Planner(self._gate, self.block_size, cutting, capacity)
        self._counters = Counters(Path(config["counters"])) if vllm_config.parallel_config.rank == 0 else None
        self._position_bytes = len(layer_names) * kv_cache_spec.real_page_size_bytes // kv_cache_spec.block_size
        self._alike: bool | None = None

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> SharedPrefixMetadata:
        step = common_attn_metadata
        if not self._may_share(step):
            return _extend(super().build(0, step, fast_build), None)
        prefixes = None if step.req_idx is None else mirror.find(step.block_table_tensor)
        return self._build_sharing(step, prefixes, fast_build)

    def build_for_cudagraph_capture(self, common_attn_metadata: CommonAttentionMetadata) -> SharedPrefixMetadata:
        step = common_attn_metadata
        if not self._may_share(step):
            return _extend(super().build(0, step), None)
        return self._build_sharing(step, None, fast_build=False)

    def _may_share(self, step: CommonAttentionMetadata) -> bool:
        """By what is the same at a graph's capture and at its replays."""
        if self._alike is None:  # asked late: vLLM makes the builder before all layers have their final form
            self._alike = self._layers_are_plain()
        rows = step.num_reqs
        decode = step.max_query_len == 1 and step.num_actual_tokens == rows and step.causal is True
        return self._alike and decode and self._gate.least <= rows <= self._buffers.capacity.rows

    def _layers_are_plain(self) -> bool:
        layers = get_layers_from_vllm_config(self.vllm_config, Attention, self.layer_names)
        odd = [name for name, layer in layers.items() if not _is_plain(layer.impl)]
        if odd:
            logger.info("shared prefixes are not used in layers like %s: window, bias or soft cap", odd[0])
        return not odd

    def _build_sharing(
        self, step: CommonAttentionMetadata, prefixes: Prefixes | None, fast_build: bool
    ) -> SharedPrefixMetadata:
        if prefixes is None or step.seq_lens_cpu_upper_bound is None:
            work = self._planner.clear()
        else:
            slots = np.asarray(step.req_idx)
            lengths = step.seq_lens_cpu_upper_bound[: len(slots)].numpy().astype(np.int64)
            work = self._planner.step(prefixes, slots, lengths)
            self._count()
        if work is not None:
            self._buffers.load(work)
        stock_lengths = self._stock_lengths[: step.num_reqs]
        torch.mul(step.seq_lens, self._buffers.stock[: step.num_reqs], out=stock_lengths)
        metadata = super().build(0, step.replace(seq_lens=stock_lengths), fast_build)
        return _extend(metadata, Sharing(self._buffers, step.seq_lens, self._launch))

    def _count(self) -> None:
        if self._counters is None:
            return
        planner = self._planner
        self._counters.add(
            decode_steps=1,
            shared_steps=int(bool(planner.segments)),
            shared_requests=planner.shared_rows,
            bytes_saved=planner.saved_positions * self._position_bytes,
        )


class SharedPrefixAttention(FlashAttentionImpl):
    """One layer."""

    def forward(
        self,
        layer: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: SharedPrefixMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Shapes as in FlashAttentionImpl."""
        super().forward(layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale)
        if attn_metadata is not None and (sharing := attn_metadata.sharing) is not None:
            rows = attn_metadata.num_actual_tokens
            attend(
                query[:rows],
                kv_cache,
                attn_metadata.block_table,
                sharing.lengths,
                sharing.buffers,
                output[:rows],
                self.scale,
                sharing.launch,
            )
        return output


def refuse(vllm_config: VllmConfig) -> None:
    """
    Raises:
        ValueError: naming every feature of the configuration that this backend does not go with.
    """
    parallel = vllm_config.parallel_config
    conflicts = {
        "the first model runner (VLLM_USE_V2_MODEL_RUNNER=0)": not vllm_config.use_v2_model_runner,
        "speculative decoding": vllm_config.speculative_config is not None,
        "context parallelism": parallel.decode_context_parallel_size * parallel.prefill_context_parallel_size > 1,
        "dual batch overlap": parallel.enable_dbo,
        "no gate: `kernels.shared_prefix_gate`": CONFIG not in (vllm_config.additional_config or {}),
    }
    if named := [feature for feature, used in conflicts.items() if used]:
        raise ValueError(f"shared-prefix attention does not go with {', '.join(named)}")


def _is_plain(impl: Any) -> bool:
    """Causal attention over all positions, as `op.attend` has it."""
    return (
        impl.attn_type == AttentionType.DECODER
        and impl.sliding_window == (-1, -1)
        and impl.alibi_slopes is None
        and not impl.logits_soft_cap
        and impl.sinks is None
    )


def _extend(metadata: FlashAttentionMetadata, sharing: Sharing | None) -> SharedPrefixMetadata:
    taken = {field.name: getattr(metadata, field.name) for field in fields(FlashAttentionMetadata)}
    return SharedPrefixMetadata(**taken, sharing=sharing)
