"""The platform that `activate` names: vLLM's CPU platform on operators of ours.

vLLM imports this module while it decides on a platform, so what needs that decision is imported inside the functions.
"""

import logging
import os
import warnings
from typing import TYPE_CHECKING

from vllm.platforms.cpu import CpuPlatform

from kernels.cpu import block_table, ops

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.attention.backends.registry import AttentionBackendEnum
    from vllm.v1.attention.selector import AttentionSelectorConfig

BACKEND = "kernels.cpu.attention.PagedAttentionBackend"
WORKER = "kernels.cpu.worker.Worker"
BLOCK_SIZE = 16
KV_CACHE_BYTES = 1 << 30
KV_CACHE_GIB = "VLLM_CPU_KVCACHE_SPACE"  # vLLM's own variable, in GiB; the engine argument kv_cache_memory_bytes wins
PROCESS_DEFAULTS = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a forked child hangs in OpenMP once its parent has used it
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin starve the server's process: 15 times slower on 2 cores
    "HUMMING_DISABLE_PARALLEL_BUILD": "1",  # a library of vLLM's starts two builds of CUDA code whenever it is imported
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # the second runner is made of Triton kernels
}
EXPECTED_REPORTS = (
    "Triton is installed but",
    "Triton not installed or not compatible",
    "Enforce eager set",
    "Inductor compilation was disabled",
)


class PortableCpuPlatform(CpuPlatform):
    simple_compile_backend = "eager"  # vLLM's default needs a C++ compiler at the first request for logprobs

    @classmethod
    def check_and_update_config(cls, vllm_config: "VllmConfig") -> None:
        """Fill in what is left open, refuse what cannot work. Replaces vLLM's, whose advice is for its own kernels."""
        refuse(vllm_config)
        _update_cache(vllm_config)
        _update_execution(vllm_config)
        _update_compilation(vllm_config)

    @classmethod
    def get_attn_backend_cls(
        cls,
        selected_backend: "AttentionBackendEnum | None",
        attn_selector_config: "AttentionSelectorConfig",
        num_heads: int | None = None,
    ) -> str:
        from kernels.cpu.attention import PagedAttentionBackend

        asked = attn_selector_config._asdict()
        if reasons := PagedAttentionBackend.validate_configuration(**asked, device_capability=None):
            raise NotImplementedError(f"attention on the CPU platform: {', '.join(reasons)}")
        return BACKEND

    @classmethod
    def opaque_attention_op(cls) -> bool:
        return False  # nothing is compiled, so attention need not hide behind an operator

    @classmethod
    def import_kernels(cls) -> None:
        ops.register()

    @classmethod
    def register_triton_kernel_overrides(cls) -> None:
        from vllm.triton_utils.dispatcher import register_kernels

        with warnings.catch_warnings():  # vLLM looks into every loaded module, deprecated names included
            warnings.simplefilter("ignore", FutureWarning)
            register_kernels({block_table.KERNEL: block_table.slot_mapping})


def refuse(vllm_config: "VllmConfig") -> None:
    """Raise NotImplementedError naming every feature of the configuration that this platform lacks."""
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    lacking = {
        "speculative decoding": vllm_config.speculative_config is not None,
        "tensor or pipeline parallelism": parallel.world_size > 1,
        "quantised weights": model is not None and model.quantization is not None,
        "mixture-of-experts models": model is not None and model.is_moe,
        "state-space layers": model is not None and model.has_inner_state,
        "multi-head latent attention": model is not None and model.use_mla,
    }
    if named := [feature for feature, used in lacking.items() if used]:
        raise NotImplementedError(f"not supported on the CPU platform: {', '.join(named)}")


def _update_cache(vllm_config: "VllmConfig") -> None:
    cache = vllm_config.cache_config
    if not cache.user_specified_block_size:
        cache.block_size = BLOCK_SIZE
    if cache.kv_cache_memory_bytes is None:
        gib = os.environ.get(KV_CACHE_GIB)
        cache.kv_cache_memory_bytes = int(gib) << 30 if gib else KV_CACHE_BYTES


def _update_execution(vllm_config: "VllmConfig") -> None:
    parallel = vllm_config.parallel_config
    if parallel.worker_cls == "auto":
        parallel.worker_cls = WORKER
    vllm_config.scheduler_config.async_scheduling = False  # nothing runs beside the CPU
    parallel.enable_dbo = False


def _update_compilation(vllm_config: "VllmConfig") -> None:
    from vllm.config import CompilationMode, CUDAGraphMode

    compilation = vllm_config.compilation_config
    compilation.mode = CompilationMode.NONE
    compilation.cudagraph_mode = CUDAGraphMode.NONE
    compilation.cudagraph_capture_sizes = []
    compilation.custom_ops = ["none"]  # every layer takes its PyTorch forward: the C++ ones are absent
    compilation.ir_enable_torch_wrap = False


def set_process_defaults() -> None:
    """For this process as far as it still looks, and for those it starts. What the user has set stays."""
    for name, value in PROCESS_DEFAULTS.items():
        os.environ.setdefault(name, value)


class Expected(logging.Filter):
    """Drops vLLM's reports of what this platform does on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(EXPECTED_REPORTS)


def _quiet() -> None:
    for name in ("vllm.triton_utils.importing", "vllm.config.vllm"):
        logging.getLogger(name).addFilter(Expected())


def _unhide_no_gpu() -> None:
    """vLLM reads an empty CUDA_VISIBLE_DEVICES as "a GPU will come" and keeps Triton's kernels. None will."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "x").strip() == "":
        del os.environ["CUDA_VISIBLE_DEVICES"]


set_process_defaults()
_quiet()
_unhide_no_gpu()
