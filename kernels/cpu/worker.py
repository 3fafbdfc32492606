"""The process that holds the model: vLLM's CPU worker without its kernels, core binding and preloaded libraries."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import torch
from vllm.utils.torch_utils import set_random_seed
from vllm.v1.worker.cpu_model_runner import CPUModelRunner
from vllm.v1.worker.cpu_worker import CPUWorker
from vllm.v1.worker.gpu_worker import Worker as GPUWorker
from vllm.v1.worker.gpu_worker import init_worker_distributed_environment

from kernels.cpu.threads import thread_count


class Worker(CPUWorker):
    def __init__(self, vllm_config: Any, *args: Any, **kwargs: Any) -> None:
        # Not CPUWorker's: it asks `lscpu`, binds memory with a C++ operator and reserves 92% of the machine.
        GPUWorker.__init__(self, vllm_config, *args, **kwargs)
        self.parallel_config.disable_custom_all_reduce = True

    def init_device(self) -> None:
        # vLLM decorates a few sampling functions with torch.compile: tracing them costs more than it gives here.
        torch._dynamo.config.disable = True
        self.device = torch.device("cpu")
        init_worker_distributed_environment(
            self.vllm_config, self.rank, self.distributed_init_method, self.local_rank, backend="gloo"
        )
        set_random_seed(self.model_config.seed)
        self.model_runner = ModelRunner(self.vllm_config, self.device)

    def load_model(self, **kwargs: Any) -> None:
        super().load_model(**kwargs)
        if "OMP_NUM_THREADS" not in os.environ:  # vLLM has just gone down to one thread, which suits a model on a GPU
            torch.set_num_threads(thread_count())

    def determine_available_memory(self) -> int:
        """Bytes for the KV cache: what the configuration says (the platform fills in a default)."""
        asked, available = self.cache_config.kv_cache_memory_bytes, psutil.virtual_memory().available
        if asked > available:
            raise ValueError(f"kv_cache_memory_bytes={asked}, but only {available} bytes of memory are available")
        return asked


class ModelRunner(CPUModelRunner):
    """Keeps a seeded request's random numbers to the tokens it keeps.

    A prompt that is prefilled in chunks samples after each chunk and throws the token away; vLLM then turns the
    request's generator back, which generators on a CPU cannot do (it raises). Here those rows draw unseeded.
    """

    def _sample(self, *args: Any, **kwargs: Any) -> Any:
        with self._discarded_rows_unseeded():
            return super()._sample(*args, **kwargs)

    def _bookkeeping_sync(self, *args: Any, **kwargs: Any) -> Any:
        with self._discarded_rows_unseeded():
            return super()._bookkeeping_sync(*args, **kwargs)

    @contextmanager
    def _discarded_rows_unseeded(self) -> Iterator[None]:
        generators = self.input_batch.generators
        rows = np.flatnonzero(self.discard_request_mask.np[: self.input_batch.num_reqs]).tolist()
        hidden = {row: generators.pop(row) for row in rows if row in generators}
        try:
            yield
        finally:
            generators.update(hidden)
