"""One draw per row, decided by its seed; the distribution is tested with a bound on the chance of a false alarm."""

import math

import pytest
import torch
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch

from kernels.cpu import reference, sampling
from kernels.cpu.sampling import greedy_argmax, sample_by_seed, uniform

DRAWS = 20_000
FALSE_ALARM = 1e-9


def bound(cells: int) -> float:
    """By how much an observed frequency may miss its probability: Hoeffding, over all cells together."""
    return math.sqrt(math.log(2 * cells / FALSE_ALARM) / (2 * DRAWS))


def frequencies(row: torch.Tensor) -> torch.Tensor:
    tokens = sample_by_seed(row.expand(DRAWS, -1), torch.arange(DRAWS))
    return torch.bincount(tokens, minlength=len(row)).double() / DRAWS


@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_distribution_is_the_softmax(size: int, temperature: float) -> None:
    row = torch.randn(size, generator=torch.Generator().manual_seed(size)) * 3 / temperature
    assert (frequencies(row) - row.double().softmax(0)).abs().max() <= bound(size)


@pytest.mark.parametrize("top_k, top_p", [(5, 1.0), (50, 0.7), (8, 0.5), (1, 1.0), (50, 1e-6)])
def test_top_k_and_top_p(top_k: int, top_p: float) -> None:
    row = torch.randn(50, generator=torch.Generator().manual_seed(7)) * 2
    kept = sorted(reference.kept_by_top_k_top_p(row, top_k, top_p))
    masked = apply_top_k_top_p_pytorch(row[None].clone(), torch.tensor([top_k]), torch.tensor([top_p]), True)[0]
    expected = torch.zeros(50, dtype=torch.float64)
    expected[kept] = row.double()[kept].softmax(0)
    found = frequencies(masked)
    assert (found - expected).abs().max() <= bound(50)
    assert found[expected == 0].sum() == 0


def test_ids_that_are_masked_are_never_drawn() -> None:
    row = torch.full((64,), -torch.inf)
    row[[0, 20, 63]] = torch.tensor([0.0, -30.0, 1.0])
    assert set(sample_by_seed(row.expand(DRAWS, -1), torch.arange(DRAWS)).tolist()) <= {0, 20, 63}
    row = torch.full((64,), -torch.inf)
    row[40] = -1e30
    assert set(sample_by_seed(row.expand(100, -1), torch.arange(100)).tolist()) == {40}


def test_where_nothing_is_possible_the_id_is_one_of_the_vocabulary_all_the_same() -> None:
    logits = torch.tensor([[-torch.inf] * 3, [torch.nan] * 3, [-torch.inf, 0.0, -torch.inf]])
    tokens = sample_by_seed(logits, torch.tensor([1, 2, 3])).tolist()
    assert tokens[2] == 1
    assert set(tokens) <= {0, 1, 2}


@pytest.mark.parametrize("number, expected", [(0.0, 1), (1 - 2**-32, 3)])
def test_the_ends_of_the_unit_interval(monkeypatch: pytest.MonkeyPatch, number: float, expected: int) -> None:
    monkeypatch.setattr(sampling, "uniform", lambda seeds: torch.full(seeds.shape, number, dtype=torch.float64))
    row = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    assert sample_by_seed(row, torch.tensor([5])).tolist() == [expected]


def test_a_row_depends_on_its_seed_and_logits_only() -> None:
    logits = torch.randn(40, 300, generator=torch.Generator().manual_seed(1))
    seeds = torch.randint(0, 2**31, (40,), generator=torch.Generator().manual_seed(2))
    together = sample_by_seed(logits, seeds)
    assert torch.equal(torch.cat([sample_by_seed(logits[i : i + 1], seeds[i : i + 1]) for i in range(40)]), together)
    assert torch.equal(sample_by_seed(logits.flip(0), seeds.flip(0)), together.flip(0))


def test_neighbouring_seeds_are_unrelated() -> None:
    for stride in (1, 2, 4096):
        drawn = uniform(torch.arange(DRAWS) * stride)
        assert drawn.min() >= 0 and drawn.max() < 1
        cells = (drawn[:-1] * 8).long() * 8 + (drawn[1:] * 8).long()  # pairs of neighbours fill the square evenly
        counts = torch.bincount(cells[::2], minlength=64).double() / len(cells[::2])
        assert (counts - 1 / 64).abs().max() <= bound(64) * math.sqrt(2)


@pytest.mark.parametrize("rows, size", [(0, 5), (1, 1), (3, 4097)])
def test_greedy_takes_the_first_of_the_largest(rows: int, size: int) -> None:
    logits = torch.randint(0, 3, (rows, size), generator=torch.Generator().manual_seed(3)).float()
    assert greedy_argmax(logits).tolist() == [row.index(max(row)) for row in logits.tolist()]


def test_no_rows() -> None:
    assert sample_by_seed(torch.empty(0, 9), torch.empty(0, dtype=torch.int64)).shape == (0,)
