"""One token per row of logits: the largest, or a draw that the row's seed decides.

A draw inverts the cumulative distribution at one uniform number per row. Its cost does not depend on how many random
numbers a vocabulary would need, and a row's token depends on that row's logits and seed only, never on its neighbours.
"""

import torch

MIXERS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))  # SplitMix64 (Steele et al. 2014), as signed 64-bit
GOLDEN = -0x61C8864680B583EB


def greedy_argmax(logits: torch.Tensor) -> torch.Tensor:
    """logits [rows, vocabulary] -> int64 [rows]; the lowest id wins a tie."""
    return logits.argmax(dim=-1)


def sample_by_seed(logits: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
    """logits [rows, vocabulary], -inf: never; seeds int64 [rows] -> int64 [rows], distributed as softmax(logits).

    A row in which nothing is possible, as where a caller forbids all that it allows, gives the last id: one
    outside of the vocabulary would end the engine.
    """
    cumulative = logits.softmax(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    threshold = uniform(seeds).unsqueeze(-1) * cumulative[:, -1:]
    # right=True: the first id whose mass reaches beyond the threshold, so an id without mass is never taken.
    found = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    return found.clamp(max=logits.shape[-1] - 1)


def uniform(seeds: torch.Tensor) -> torch.Tensor:
    """int64 [rows] -> float64 [rows] in [0, 1 - 2**-32]: neighbouring seeds give unrelated numbers."""
    return _logical_shift(_mix(seeds), 32).double() / 2**32


def _mix(seeds: torch.Tensor) -> torch.Tensor:
    state = seeds + GOLDEN
    for shift, multiplier in MIXERS:
        state = (state ^ _logical_shift(state, shift)) * multiplier
    return state ^ _logical_shift(state, 31)


def _logical_shift(value: torch.Tensor, by: int) -> torch.Tensor:
    """Right shift that fills with zeros; torch has only the arithmetic one for int64."""
    return (value >> by) & ((1 << (64 - by)) - 1)
