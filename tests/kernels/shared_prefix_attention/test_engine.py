"""A real engine on the embedded model, on the CPU: the groups that its block tables hold, and the same greedy tokens
when attention goes by segments. The arithmetic is the reference's, the tables and the lengths are vLLM's."""

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from kernels.cpu.attention import MetadataBuilder, PagedAttention, PagedAttentionBackend
from kernels.shared_prefix_attention import reference
from kernels.shared_prefix_attention.gate import Gate, Threshold
from kernels.shared_prefix_attention.grouping import Prefixes, Segment
from kernels.shared_prefix_attention.plan import Capacity, Cutting, Work
from kernels.shared_prefix_attention.planner import Planner
from server.nano import model_path

GATE = Gate("this machine", (Threshold(2, 32),))
CUTTING = Cutting(units=4, tile=2, keys=16, shared_cost=1.0, least=1)


class Builder(MetadataBuilder):
    seen: ClassVar[list[tuple[Segment, ...]]] = []
    on: ClassVar[bool] = False

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> Any:
        step = common_attn_metadata
        metadata = super().build(common_prefix_len, step, fast_build)
        metadata.work = self._work(step) if self.on and step.max_query_len == 1 else None
        return metadata

    def _work(self, step: Any) -> Work | None:
        table, lengths = step.block_table_tensor.numpy(), step.seq_lens.numpy().astype(np.int64)
        prefixes = Prefixes(len(lengths), table.shape[1])
        for row, length in enumerate(lengths.tolist()):
            prefixes.put(row, table[row, : -(-length // 16)])
        planner = Planner(GATE, 16, CUTTING, Capacity(len(lengths), 1000))
        work = planner.step(prefixes, np.arange(len(lengths)), lengths)
        self.seen.append(planner.segments)
        return work


class Attention(PagedAttention):
    def forward(self, layer, query, key, value, kv_cache, attn_metadata, output, **scales) -> torch.Tensor:
        super().forward(layer, query, key, value, kv_cache, attn_metadata, output, **scales)
        if attn_metadata is not None and (work := attn_metadata.work) is not None:
            output[: len(work.stock)][torch.from_numpy(work.stock) == 0] = torch.nan
            step = attn_metadata.step
            arguments = query, kv_cache, step.block_table_tensor, step.seq_lens
            for row, out in reference.run_work(*arguments, work, self.scale).items():
                output[row] = out.to(output.dtype)
        return output


class Backend(PagedAttentionBackend):
    @staticmethod
    def get_impl_cls() -> type[PagedAttention]:
        return Attention

    @staticmethod
    def get_builder_cls() -> type[MetadataBuilder]:
        return Builder


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory
    from vllm.v1.attention.selector import _cached_get_attn_backend

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setattr("kernels.cpu.platform.BACKEND", f"{Backend.__module__}.{Backend.__qualname__}")
        _cached_get_attn_backend.cache_clear()
        llm = LLM(
            str(model_path()), dtype="float32", seed=0, max_model_len=1024, max_num_seqs=8,
            kv_cache_memory_bytes=64 << 20, max_num_batched_tokens=1024,
        )  # fmt: skip
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    yield llm
    del llm
    _cached_get_attn_backend.cache_clear()
    cleanup_dist_env_and_memory()


def generate(engine: Any, prompts: list[list[int]], sharing: bool) -> list[tuple[int, ...]]:
    from vllm import SamplingParams

    Builder.seen.clear()
    Builder.on = sharing
    params = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)
    outputs = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False)
    return [tuple(output.outputs[0].token_ids) for output in outputs]


def test_the_same_tokens_and_the_groups_of_the_prompts(engine: Any) -> None:
    draw = np.random.default_rng(0)
    platform, first, second, loner = (draw.integers(300, 1500, n).tolist() for n in (70, 100, 60, 90))
    calls = [draw.integers(300, 1500, n).tolist() for n in (5, 30, 17, 44, 9)]
    customers = [platform + first, platform + first, platform + first, platform + second, platform + second]
    prompts = [*(a + b for a, b in zip(customers, calls, strict=True)), loner]
    generate(engine, [platform, platform + first, platform + second], sharing=False)  # into the prefix cache
    stock = generate(engine, prompts, sharing=False)
    assert generate(engine, prompts, sharing=True) == stock

    full = {(s.first, s.last, len(s.rows)) for s in Builder.seen[0]}
    assert full == {(0, 70 // 16, 5), (70 // 16, 170 // 16, 3), (70 // 16, 130 // 16, 2)}
    assert all({(s.first, s.last, len(s.rows)) for s in segments} == full for segments in Builder.seen)


def test_without_a_common_prompt_there_is_no_group(engine: Any) -> None:
    draw = np.random.default_rng(1)
    prompts = [draw.integers(300, 1500, 80).tolist() for _ in range(3)]
    generate(engine, prompts, sharing=True)
    assert Builder.seen and not any(Builder.seen)
