"""What the platform fills in, and what it refuses by name."""

import logging
import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm.config import CompilationMode
from vllm.v1.attention.backend import AttentionType
from vllm.v1.attention.selector import AttentionSelectorConfig

from kernels.cpu import platform
from kernels.cpu.platform import PortableCpuPlatform


@pytest.fixture(autouse=True)
def no_cache_size_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(platform.KV_CACHE_GIB, raising=False)


def config(**changes: Any) -> Any:
    """The parts of a VllmConfig that the platform looks at, as they are when the user has said nothing."""
    parts = {
        "model_config": model(),
        "speculative_config": None,
        "parallel_config": SimpleNamespace(world_size=1, worker_cls="auto"),
        "cache_config": SimpleNamespace(user_specified_block_size=False, block_size=128, kv_cache_memory_bytes=None),
        "scheduler_config": SimpleNamespace(async_scheduling=True),
        "compilation_config": SimpleNamespace(mode=CompilationMode.VLLM_COMPILE, custom_ops=[]),
    }
    return SimpleNamespace(**parts | changes)


def model(**changes: Any) -> SimpleNamespace:
    plain = {"quantization": None, "is_moe": False, "has_inner_state": False, "use_mla": False}
    return SimpleNamespace(**plain | changes)


def test_defaults() -> None:
    filled = config()
    PortableCpuPlatform.check_and_update_config(filled)
    assert filled.cache_config.block_size == 16
    assert filled.cache_config.kv_cache_memory_bytes == 1 << 30
    assert filled.parallel_config.worker_cls == platform.WORKER
    assert filled.scheduler_config.async_scheduling is False
    assert filled.compilation_config.mode == CompilationMode.NONE
    assert filled.compilation_config.custom_ops == ["none"]


def test_what_the_user_said_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(platform.KV_CACHE_GIB, "3")
    chosen = SimpleNamespace(user_specified_block_size=True, block_size=32, kv_cache_memory_bytes=5)
    PortableCpuPlatform.check_and_update_config(config(cache_config=chosen))
    assert (chosen.block_size, chosen.kv_cache_memory_bytes) == (32, 5)
    by_variable = config()
    PortableCpuPlatform.check_and_update_config(by_variable)
    assert by_variable.cache_config.kv_cache_memory_bytes == 3 << 30


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"speculative_config": object()}, "speculative decoding"),
        ({"parallel_config": SimpleNamespace(world_size=2)}, "tensor or pipeline parallelism"),
        ({"model_config": model(quantization="fp8")}, "quantised weights"),
        ({"model_config": model(is_moe=True)}, "mixture-of-experts"),
        ({"model_config": model(has_inner_state=True)}, "state-space layers"),
        ({"model_config": model(use_mla=True)}, "multi-head latent attention"),
    ],
)
def test_refused_models_and_options(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        PortableCpuPlatform.check_and_update_config(config(**changes))


def test_every_refused_feature_is_named_at_once() -> None:
    with pytest.raises(NotImplementedError, match="speculative decoding, quantised weights"):
        platform.refuse(config(speculative_config=object(), model_config=model(quantization="awq")))


def attention(**changes: Any) -> AttentionSelectorConfig:
    return AttentionSelectorConfig(head_size=40, dtype=torch.float32, kv_cache_dtype="auto", block_size=16)._replace(
        **changes
    )


@pytest.mark.parametrize("changes", [{}, {"has_sink": True}, {"has_sliding_window": True}, {"dtype": torch.bfloat16}])
def test_supported_attention(changes: dict[str, Any]) -> None:
    assert PortableCpuPlatform.get_attn_backend_cls(None, attention(**changes)) == platform.BACKEND


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"kv_cache_dtype": "fp8"}, "kv_cache_dtype"),
        ({"block_size": 24}, "block_size"),
        ({"dtype": torch.float64}, "dtype"),
        ({"use_mla": True}, "MLA"),
        ({"use_sparse": True}, "sparse"),
        ({"use_non_causal": True}, "non-causal"),
        ({"attn_type": AttentionType.ENCODER_DECODER}, "encoder_decoder"),
        ({"attn_type": AttentionType.ENCODER_ONLY}, "encoder_only"),
        ({"use_dcp": True}, "DCP"),
        ({"use_rswa": True}, "R-SWA"),
    ],
)
def test_refused_attention(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotImplementedError, match=f"(?i){reason}"):
        PortableCpuPlatform.get_attn_backend_cls(None, attention(**changes))


def test_process_defaults_yield_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "ACTIVE"})
    platform.set_process_defaults()
    assert os.environ == platform.PROCESS_DEFAULTS | {"OMP_WAIT_POLICY": "ACTIVE"}


@pytest.mark.parametrize("value, kept", [("", None), (" ", None), ("0", "0")])
def test_an_empty_list_of_gpus_hides_nothing(monkeypatch: pytest.MonkeyPatch, value: str, kept: str | None) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    platform._unhide_no_gpu()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == kept


def test_expected_reports_are_dropped_and_others_are_not() -> None:
    def reported(text: str) -> bool:
        return platform.Expected().filter(logging.LogRecord("vllm", logging.WARNING, "", 0, text, (), None))

    assert not reported("Enforce eager set, disabling torch.compile")
    assert reported("Something is wrong")
