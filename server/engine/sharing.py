"""Prompts that are shared up to a point and private from there on.

vLLM hashes a request's salt into its first KV block, and so into all that follow: two accounts can share nothing. Here
the salt of a request that begins with tokens of the operator's enters later, with the first block that holds anything
else. The blocks before it hold the operator's tokens alone; all others stay the account's own, as their hashes descend
from the salted one.

vLLM takes another scheduler as an engine argument; what it schedules is not touched. Without this one a salt covers the
whole prompt. In vLLM's KV events the salt still stands beside the first block.
"""

from collections.abc import Callable
from typing import Any

from vllm.config import SchedulerConfig, VllmConfig
from vllm.utils.hashing import get_hash_fn_by_name
from vllm.v1.core.kv_cache_utils import BlockHash, hash_block_tokens
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

from server.settings import SettingsError

SHARED_TOKENS = "shared_tokens"  # in the sampling parameters' `extra_args`

HashFunction = Callable[[Any], bytes]


class LateSalt:
    """Hashes the blocks of a request as vLLM does, but for where the salt enters. Of text alone, without adapters.

    block_size: tokens of one hash.
    """

    def __init__(self, block_size: int, hash_function: HashFunction) -> None:
        self._block_size = block_size
        self._hash_function = hash_function

    def apply(self, request: Request) -> None:
        """Hash anew a request that has a shared block."""
        if request._block_hasher and self._shared_blocks(request):
            request._block_hasher = self.hash_new_blocks
            request.block_hashes.clear()
            request.update_block_hashes()

    def hash_new_blocks(self, request: Request) -> list[BlockHash]:
        """The hashes of full blocks that the request does not have yet."""
        hashes = list(request.block_hashes)
        known, size, salted = len(hashes), self._block_size, self._shared_blocks(request)
        for block in range(known, request.num_tokens // size):
            tokens = request.all_token_ids[block * size : (block + 1) * size]
            extra = (("cache_salt", request.cache_salt),) if block == salted else None
            hashes.append(hash_block_tokens(self._hash_function, hashes[-1] if hashes else None, tokens, extra))
        return hashes[known:]

    def _shared_blocks(self, request: Request) -> int:
        given = request.sampling_params.extra_args if request.sampling_params else None
        return int((given or {}).get(SHARED_TOKENS, 0)) // self._block_size


class SharingScheduler(Scheduler):
    """vLLM's scheduler for one step at a time."""

    def __init__(self, vllm_config: VllmConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(vllm_config, *args, **kwargs)
        function = get_hash_fn_by_name(vllm_config.cache_config.prefix_caching_hash_algo)
        self._late_salt = LateSalt(self.hash_block_size, function)

    def add_request(self, request: Request) -> None:
        self._late_salt.apply(request)
        super().add_request(request)


class SharingAsyncScheduler(SharingScheduler, AsyncScheduler):
    """vLLM's scheduler that plans a step while another runs."""


def share_prompts(config: SchedulerConfig) -> None:
    """
    Raises:
        SettingsError: the operator has given the engine a scheduler of his own.
    """
    if config.scheduler_cls is not None:
        raise SettingsError("`admission.shared_prompts` and `engine.scheduler_cls` exclude one another")
    config.scheduler_cls = SharingAsyncScheduler if config.async_scheduling else SharingScheduler
