"""Which numbers are quick to reckon with."""

import torch


def quick_dtype(device: str) -> torch.dtype:
    """bfloat16, unless the processor does not know it: there it is twenty times slower than float32."""
    known = device != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if known else torch.float32
