"""Tiny models with random weights, and vLLM engines over them in this process (`kernels.cpu` makes that possible)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

END = "<|end|>"
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = len(ALPHABET) + 1


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads that spin for one another are many times slower as soon as anything else runs on the machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def save_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, PreTrainedModel], Path]:
    """Writes a model and a tokenizer of one token per byte to a folder that vLLM and transformers can load."""

    def save(name: str, model: PreTrainedModel) -> Path:
        path = tmp_path_factory.mktemp(name)
        model.save_pretrained(path)
        byte_tokenizer().save_pretrained(path)
        return path

    return save


def byte_tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE({token: i for i, token in enumerate([*ALPHABET, END])}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=END)


@contextmanager
def running_engine(path: Path, **options: Any) -> Iterator[Any]:
    """A vllm.LLM whose engine lives in this process: no second import of vLLM, and breakpoints work."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        llm = LLM(
            str(path), dtype="float32", seed=0, kv_cache_memory_bytes=32 << 20, disable_log_stats=False, **options
        )
    torch.set_num_threads(1)  # the worker has raised it
    yield llm
    del llm
    cleanup_dist_env_and_memory()


@pytest.fixture(scope="session")
def engine() -> Callable[..., Any]:
    return running_engine


@pytest.fixture(scope="session")
def continue_greedily() -> Callable[..., list[int]]:
    """Greedy continuation by transformers, with a change of the logits before each choice."""

    @torch.inference_mode()
    def run(
        model: PreTrainedModel,
        prompt: list[int],
        count: int,
        change: Callable[[torch.Tensor, list[int]], torch.Tensor] = lambda logits, _: logits,
    ) -> list[int]:
        chosen: list[int] = []
        for _ in range(count):
            logits = model(torch.tensor([prompt + chosen])).logits[0, -1].float()
            chosen.append(int(change(logits, chosen).argmax()))
        return chosen

    return run
