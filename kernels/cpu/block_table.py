"""Where each scheduled token's key and value go in the paged cache."""

import torch

KERNEL = "vllm.v1.worker.block_table.ComputeSlotMappingKernel.kernel"


def slot_mapping(
    num_tokens: int,
    max_num_tokens: int,
    query_start_loc_ptr: torch.Tensor,
    positions_ptr: torch.Tensor,
    block_table_ptr: torch.Tensor,
    block_table_stride: int,
    slot_mapping_ptr: torch.Tensor,
    KV_CACHE_BLOCK_SIZE: int,
    TOTAL_CP_WORLD_SIZE: int,
    TOTAL_CP_RANK: int,
    CP_KV_CACHE_INTERLEAVE_SIZE: int,
    PAD_ID: int,
    BLOCK_SIZE: int,
) -> None:
    """slot_mapping_ptr[t] = block id of token t * block size + offset in the block; PAD_ID from num_tokens on.

    query_start_loc_ptr: int32 [requests + 1]; positions_ptr: int64 [tokens]; block_table_ptr: int32 [requests, blocks].
    """
    if TOTAL_CP_WORLD_SIZE != 1:
        raise NotImplementedError(f"context parallelism over {TOTAL_CP_WORLD_SIZE} ranks on the CPU platform")
    request = torch.repeat_interleave(query_start_loc_ptr.diff())
    position = positions_ptr[: request.numel()]
    block = block_table_ptr[request, position // KV_CACHE_BLOCK_SIZE].long()
    slot_mapping_ptr[: request.numel()] = block * KV_CACHE_BLOCK_SIZE + position % KV_CACHE_BLOCK_SIZE
    slot_mapping_ptr[request.numel() : max_num_tokens] = PAD_ID
