"""Random weights in which copying already works, and finding the tool that shares words with a request.

From plain random weights a small model spends much of its training on discovering a pair of heads: one that looks one
token back, one that finds what followed there ("induction heads", Olsson et al. 2022). It hardly ever discovers how to
find the one of several tools that a request is about. Here the residual stream starts with parts that have a meaning:

- the token's own code, and a code of the token before it (layer 0 fetches it);
- the owner: the code of the first piece of the last tool's name before this token, nothing in other turns (layer 1);
  where the same token stood before, its owner is added (layer 2), so a word of the request learns whose word it is;
- a constant, from which queries and keys are made where only distance counts, and flags of some tokens.

Layer 3 copies what followed the last time; layer 4 counts, where a name is due, the owners of the words just said. All
of it is trainable, and all of it can be drowned by the first steps' noise: so codes are large beside what a step writes
into the stream, rows of queries and keys are scaled up (their norms take that out again), and `optimizer.py` begins
gently.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

ROPE_THETA = 1_000_000.0
HALF = 32  # rotary pairs of a head; channel i turns with channel i + HALF
HEADS = (0, 1)  # key-value heads, each wired with the first of its two query heads

# Channels of the residual stream.
CODE, CODE_STEP = 128, 64  # the token, from channel 0; each head takes care of half of it
PREVIOUS, PREVIOUS_SIZE = 128, 32  # the token before, from here; this many channels for each head
OWNER, OWNER_SIZE = 192, 29
WORD, NAME_DUE, NAME_BEGINS, TURN_BEGINS, CONSTANT = 251, 252, 253, 254, 255
CODE_SCALE = 0.5
FLAG_SCALE = 4.0  # flags and constant, in codes

DISTANCE_PAIRS = range(7)  # turn fast enough to tell neighbours apart
CONTENT_PAIRS = range(16, 32)  # hardly turn within some hundred tokens
NEAREST = {6: 0.6, 8: 1.0, 10: 1.0}  # pairs that prefer the nearest of some places within a hundred tokens
RECENT = {7: 1.0, 9: 1.0}  # and the last thirty tokens or so to all others
# Rows of flags, in pairs that no content is in or that hardly turn at all.
FLAG_ROW, IDLE_ROW, BEGIN_ROW = 31, 30, 12
BACK_GAIN, OWNER_GAIN, SAME_GAIN, AGAIN_GAIN, RECENT_GAIN = 2.5, 3.0, 2.5, 2.0, 1.0
WORD_BIAS = 2.0  # words count more than marks and digits
NOT_ITSELF = 0.32  # a token attends to an earlier one of its kind before itself, and to itself before any other
MATCHED, COPIED, COUNTED, LOGIT_GAIN = 3.0, 3.0, 16.0, 0.2
FIRM = 3.0  # scale of the rows of queries and keys

# The channels of each part that the first head reads or writes, and the step to those of the second.
CODES, OWNERS = (0, CODE_STEP), (OWNER, OWNER_SIZE)

CONTENT = [pair + half for half in (0, HALF) for pair in CONTENT_PAIRS]


@torch.no_grad()
def wire(model: nn.Module, before_name: int, turn_start: int, words: list[int]) -> None:
    """Rewrite embeddings and five layers of a fresh model that has 4 query and 2 key-value heads of 64 channels.

    `before_name` and `turn_start` are the ids of the tokens after which a tool's name and a turn begin, `words` those
    of tokens with letters, whose owners count most.
    """
    state: dict[str, Tensor] = dict(model.named_parameters())
    _embeddings(state["model.embed_tokens.weight"], before_name, turn_start, words)
    state["model.norm.weight"].fill_(LOGIT_GAIN)
    for name, weight in state.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
    _look_back(Layer(state, 0))
    _find_owner(Layer(state, 1))
    _find_same(Layer(state, 2))
    _find_again(Layer(state, 3))
    _count(Layer(state, 4))


class Layer:
    """The attention of one layer, written row by row. Queries ask for nothing else; other keys and values stay random,
    since where both sides of a product are zero nothing is ever learned."""

    def __init__(self, state: dict[str, Tensor], number: int) -> None:
        self._weights = {name: state[f"model.layers.{number}.self_attn.{name}.weight"] for name in PARTS}
        self._written: set[tuple[str, int]] = set()
        for head in HEADS:
            self._weights["q_proj"][head * 128 : head * 128 + 64] = 0.0

    def query(self, row: int, channel: int, weight: float = 1.0, heads: Iterable[int] = HEADS) -> None:
        for head in heads:
            self._write("q_proj", head * 128 + row, channel, weight * FIRM)

    def key(self, row: int, channel: int, weight: float = 1.0, heads: Iterable[int] = HEADS) -> None:
        for head in heads:
            self._write("k_proj", head * 64 + row, channel, weight * FIRM)

    def gain(self, gain: float) -> None:
        for name in ("q_norm", "k_norm"):
            self._weights[name].fill_(gain)

    def match(self, keys: int, step: int) -> None:
        """Queries of the token's own code; keys of the channels from `keys` on, `step` further for the second head."""
        for head in HEADS:
            for i, row in enumerate(CONTENT):
                self.query(row, head * CODE_STEP + i, heads=[head])
                self.key(row, keys + head * step + i, heads=[head])

    def carry(self, source: tuple[int, int], target: tuple[int, int], size: int, gain: float = 1.0) -> None:
        """Each head adds `gain` times `size` channels of the attended token to others. Both: the first, and the step to
        that of the second head."""
        for head in HEADS:
            for i in range(size):
                self.carry_one(head, i, source[0] + head * source[1] + i, target[0] + head * target[1] + i, gain)

    def carry_one(self, head: int, column: int, source: int, target: int, gain: float = 1.0) -> None:
        self._write("v_proj", head * 64 + column, source, 1.0)
        self._weights["o_proj"][target, head * 128 + column] = gain * UNIT

    def _write(self, part: str, row: int, channel: int, weight: float) -> None:
        if (part, row) not in self._written:
            self._weights[part][row] = 0.0
            self._written.add((part, row))
        self._weights[part][row, channel] = weight


PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")
# What a layer's normalisation divides by while only codes and constant are there: a carried code keeps its size.
UNIT = CODE_SCALE * ((CODE + FLAG_SCALE**2) / 256) ** 0.5


def _embeddings(weight: Tensor, before_name: int, turn_start: int, words: list[int]) -> None:
    weight.normal_(std=CODE_SCALE)
    weight[:, CODE:] = 0.0
    weight[:, CONSTANT] = CODE_SCALE * FLAG_SCALE
    weight[words, WORD] = CODE_SCALE * FLAG_SCALE
    weight[before_name, NAME_DUE] = CODE_SCALE * FLAG_SCALE
    weight[turn_start, TURN_BEGINS] = CODE_SCALE * FLAG_SCALE
    for head in HEADS:  # a turn's beginning owns nothing
        weight[turn_start, head * CODE_STEP : head * CODE_STEP + OWNER_SIZE] = 0.0


def _look_back(layer: Layer) -> None:
    """Attend to distance one: the key of a constant is turned one position ahead of the query's."""
    for pair in DISTANCE_PAIRS:
        angle = torch.tensor(ROPE_THETA ** (-pair / HALF))
        layer.query(pair, CONSTANT)
        layer.key(pair, CONSTANT, float(angle.cos()))
        layer.key(pair + HALF, CONSTANT, float(angle.sin()))
    layer.gain(BACK_GAIN)
    layer.carry(CODES, (PREVIOUS, PREVIOUS_SIZE), PREVIOUS_SIZE)
    layer.carry_one(0, PREVIOUS_SIZE, NAME_DUE, NAME_BEGINS)


def _find_owner(layer: Layer) -> None:
    """Attend to the nearest place where a tool's name or a turn begins."""
    _near(layer, NEAREST, CONSTANT)
    layer.query(FLAG_ROW, CONSTANT, 2.0)
    for flag in (NAME_BEGINS, TURN_BEGINS):
        layer.key(FLAG_ROW, flag, 2.0)
    layer.gain(OWNER_GAIN)
    layer.carry(CODES, OWNERS, OWNER_SIZE)


def _find_same(layer: Layer) -> None:
    """Attend to where the same token stood before, or else to itself; fetch its owner."""
    layer.match(*CODES)
    for pair in DISTANCE_PAIRS:
        layer.query(pair, CONSTANT, -NOT_ITSELF)
        layer.key(pair, CONSTANT, NOT_ITSELF)
    layer.query(BEGIN_ROW, TURN_BEGINS, 2.0)
    layer.key(BEGIN_ROW, TURN_BEGINS, 2.0)
    layer.gain(SAME_GAIN)
    layer.carry(OWNERS, OWNERS, OWNER_SIZE, MATCHED)


def _find_again(layer: Layer) -> None:
    """Attend to where the token before equals this one, and predict what stood there."""
    layer.match(PREVIOUS, PREVIOUS_SIZE)
    layer.carry(CODES, CODES, CODE_STEP, COPIED)
    layer.gain(AGAIN_GAIN)


def _count(layer: Layer) -> None:
    """Where a name is due, attend to what was just said and predict the owner of most of it; else attend to nothing."""
    _near(layer, RECENT, NAME_DUE)
    layer.query(FLAG_ROW, NAME_DUE, WORD_BIAS)
    layer.key(FLAG_ROW, WORD)
    layer.query(IDLE_ROW, CONSTANT, 2.0)
    layer.query(IDLE_ROW, NAME_DUE, -2.0)
    layer.key(IDLE_ROW, TURN_BEGINS, 2.0)
    layer.gain(RECENT_GAIN)
    layer.carry(OWNERS, CODES, OWNER_SIZE, COUNTED)


def _near(layer: Layer, pairs: dict[int, float], asking: int) -> None:
    for pair, weight in pairs.items():
        layer.query(pair, asking, weight)
        layer.key(pair, CONSTANT, weight)
