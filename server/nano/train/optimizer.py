"""Muon for the matrices inside the layers, AdamW for the rest; rates rise, stay, and cool down on demand."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from server.nano.train.muon import Muon

MATRIX_RATE, OTHER_RATE = 0.0015, 0.0025
WARM_UP = 60  # steps
# What is wired can be lost: at the full rate the noise of the first steps drowns it before it has proved its worth.
GENTLE, GENTLE_UNTIL, FULL_FROM = 0.4, 400, 1500


class Optimizers:
    """Both optimizers behind one `step(factor)`; Muon's steps are scaled to AdamW's size, so both rates are alike."""

    def __init__(self, model: nn.Module) -> None:
        matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers." in name]
        inside = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in inside]
        self._muon = Muon(matrices, lr=MATRIX_RATE, weight_decay=0.02)
        self._adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0)
        self._parameters: Iterable[Tensor] = list(model.parameters())

    def step(self, factor: float) -> None:
        """Apply the gradients, clipped to norm 1, at `factor` times the base rates, and forget them."""
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for optimizer, rate in ((self._muon, MATRIX_RATE), (self._adam, OTHER_RATE)):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def rate_factor(step: int, cooling_from: int | None, steps: int, gently: bool = True) -> float:
    """Warm-up, a gentle beginning, then constant; from step `cooling_from` linearly to nothing at `steps`."""
    rate = min(1.0, (step + 1) / WARM_UP)
    if gently:
        risen = min(1.0, max(0.0, (step - GENTLE_UNTIL) / (FULL_FROM - GENTLE_UNTIL)))
        rate *= GENTLE + (1.0 - GENTLE) * risen
    if cooling_from is None or step < cooling_from:
        return rate
    return rate * max(0.0, (steps - step) / (steps - cooling_from))
