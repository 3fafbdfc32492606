"""Muon: the momentum of a matrix, made nearly orthogonal (Jordan et al., 2024), in steps of AdamW's size (Liu et al.,
2025).

torch's own knows bfloat16 alone, which takes most of a step's time on a processor that does not.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from server.nano.train.precision import quick_dtype

_ITERATIONS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315  # of the quintic whose iteration brings all singular values near one
_RMS = 0.2  # of AdamW's updates


class Muon(torch.optim.Optimizer):
    """For matrices. lr: of an update as large as AdamW's. weight_decay: decoupled, as a share of lr."""

    def __init__(
        self, matrices: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Apply the gradients. closure: of the interface, and of no use here."""
        for group in self.param_groups:
            for matrix in cast(list[Tensor], group["params"]):
                if matrix.grad is not None:
                    self._apply(matrix, matrix.grad, group)

    def _apply(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        update = orthogonal(gradient.lerp(momentum, group["momentum"]))  # Nesterov's
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update.to(matrix.dtype), alpha=-group["lr"] * _RMS * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """[M, N] with the same singular vectors, and singular values near one, in `quick_dtype`."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = (matrix.T if tall else matrix).to(quick_dtype(matrix.device.type))
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), wide, beta=_A)
    return wide.T if tall else wide
