import pytest
import torch

from server.nano.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(64, 64), (32, 96), (96, 32)])
def test_the_singular_values_come_near_one_and_the_vectors_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    made = orthogonal(matrix).float()
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ made @ right.T  # diagonal, if the vectors are the same
    assert inside.diagonal().min() > 0.4 and inside.diagonal().max() < 1.3
    assert (inside - inside.diagonal().diag()).abs().max() < 0.05


def test_steps_are_those_of_torch():
    """Its iteration is in bfloat16: nothing more than that may differ."""
    begin = torch.randn(48, 32, generator=torch.Generator().manual_seed(2))
    mine, torchs = (torch.nn.Parameter(begin.clone()) for _ in range(2))
    rates = {"lr": 0.01, "weight_decay": 0.02}
    optimizers = [Muon([mine], **rates), torch.optim.Muon([torchs], adjust_lr_fn="match_rms_adamw", **rates)]
    for seed in range(3):
        gradient = torch.randn(begin.shape, generator=torch.Generator().manual_seed(seed))
        for parameter, optimizer in zip((mine, torchs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (torchs - begin).norm()
    assert (mine - torchs).norm() < 0.02 * moved
