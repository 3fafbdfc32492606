"""Random weights in which copying already works: a head that looks one token back, one that finds what followed before.

From plain random weights a small model spends much of its training on discovering this pair ("induction heads", Olsson
et al. 2022). Here the residual stream starts with three parts: the token's own code, the code of the token before it,
and one constant, from which the first layer makes queries and keys where only distance counts. All of it is trainable.
"""

import torch
from torch import Tensor, nn

ROPE_THETA = 1_000_000.0
CODE, CONSTANT = 128, 255  # channels: the token from 0, the one before from 128, the constant 255
CODE_SCALE, CONSTANT_SCALE = 0.06, 4.0
DISTANCE_PAIRS = range(7)  # rotary pairs that turn fast enough to tell neighbours apart
CONTENT_PAIRS = range(16, 32)  # pairs that hardly turn within some hundred tokens
DISTANCE_GAIN, CONTENT_GAIN, COPY_GAIN, LOGIT_GAIN = 2.5, 2.0, 3.0, 1.0


@torch.no_grad()
def wire(model: nn.Module) -> None:
    """Rewrite embeddings and two layers of a fresh model that has 4 query and 2 key-value heads of 64 channels."""
    state: dict[str, Tensor] = dict(model.named_parameters())
    _embeddings(state["model.embed_tokens.weight"])
    state["model.norm.weight"].fill_(LOGIT_GAIN)
    for name, weight in state.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
    _look_back(state, "model.layers.0.self_attn.")
    _find_again(state, "model.layers.1.self_attn.")


def _embeddings(weight: Tensor) -> None:
    weight.normal_(std=CODE_SCALE)
    weight[:, CODE:] = 0.0
    weight[:, CONSTANT] = CODE_SCALE * CONSTANT_SCALE


def _look_back(state: dict[str, Tensor], prefix: str) -> None:
    """Query heads 0 and 2 attend to distance one: the key of a constant is turned one position ahead of the query's."""
    query, key = torch.zeros(64), torch.zeros(64)
    for pair in DISTANCE_PAIRS:
        angle = torch.tensor(ROPE_THETA ** (-pair / 32))
        query[pair], key[pair], key[pair + 32] = 1.0, angle.cos(), angle.sin()
    for head in (0, 1):
        state[prefix + "q_proj.weight"][head * 128 : head * 128 + 64] = 0.0
        state[prefix + "q_proj.weight"][head * 128 : head * 128 + 64, CONSTANT] = query
        state[prefix + "k_proj.weight"][head * 64 : head * 64 + 64] = 0.0
        state[prefix + "k_proj.weight"][head * 64 : head * 64 + 64, CONSTANT] = key
    _gains(state, prefix, DISTANCE_GAIN)
    _carry(state, prefix, to=CODE, gain=1.0)


def _find_again(state: dict[str, Tensor], prefix: str) -> None:
    """Query heads 0 and 2 attend where the token before equals this one, and predict what stood there."""
    rows = [pair + half for half in (0, 32) for pair in CONTENT_PAIRS]
    for head in (0, 1):
        state[prefix + "q_proj.weight"][head * 128 : head * 128 + 64] = 0.0
        state[prefix + "k_proj.weight"][head * 64 : head * 64 + 64] = 0.0
        columns = range(head * 64, head * 64 + len(rows))
        for row, column in zip(rows, columns, strict=True):
            state[prefix + "q_proj.weight"][head * 128 + row, column] = 1.0
            state[prefix + "k_proj.weight"][head * 64 + row, CODE + column] = 1.0
    _gains(state, prefix, CONTENT_GAIN)
    _carry(state, prefix, to=0, gain=COPY_GAIN)


def _gains(state: dict[str, Tensor], prefix: str, gain: float) -> None:
    for name in ("q_norm.weight", "k_norm.weight"):
        state[prefix + name].fill_(gain)


def _carry(state: dict[str, Tensor], prefix: str, to: int, gain: float) -> None:
    """Heads 0 and 2 carry one half each of the attended token's code to the channels from `to` on."""
    scale = gain * CODE_SCALE * ((CODE + CONSTANT_SCALE**2) / 256) ** 0.5  # undoes the layer's normalisation
    for channel in range(CODE):
        state[prefix + "v_proj.weight"][channel] = 0.0
        state[prefix + "v_proj.weight"][channel, channel] = 1.0
        if to + channel != CONSTANT:
            state[prefix + "o_proj.weight"][to + channel, channel + 64 * (channel // 64)] = scale
