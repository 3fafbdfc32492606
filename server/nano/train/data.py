"""From conversations to token ids with the assistant's turns marked, and on to batches of few fixed shapes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

import regex  # type: ignore[import-untyped]
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from server.nano.train.corpus import Conversation
from server.nano.train.tokenizer import BEFORE_NAMES, MARKUP, SPECIAL, TURN_END, TURN_START

POOL = 256  # conversations from which batches are put together
WIDTH = 16  # tokens
CALL = MARKUP[:2]
MARKS = regex.compile("|".join(regex.escape(mark) for mark in SPECIAL + MARKUP))


# How much a token counts that the assistant says. One of many wordings matters little; a call and JSON have one right
# form; and a few tokens decide everything after them: whether to speak or to call, which tool, which value.
WORDS, EXACT, TURN_BEGINS, VALUE_BEGINS, NAME_BEGINS = 0.4, 1.0, 2.0, 3.0, 3.0


@dataclass(frozen=True)
class Encoded:
    """Token ids of one conversation, and how much each counts: nothing if the assistant does not say it."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Batch:
    """`ids` [B, T] int64, padded right; `targets` [N] int64 follow the flat positions `positions` [N] int64, and count
    `weights` [N] float32."""

    ids: Tensor
    positions: Tensor
    targets: Tensor
    weights: Tensor


class Encoder:
    """Renders with the shipped chat template, so that training sees what the server sends."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = cast(PreTrainedTokenizerFast, AutoTokenizer.from_pretrained(folder))
        self._start, self._end = (self.token(text) for text in (TURN_START, TURN_END))
        self._opening = self.tokenizer.encode(f"{TURN_START}assistant\n")
        self._call, self._call_end = (self.token(text) for text in CALL)
        self._before_name = self.tokenizer.encode(BEFORE_NAMES[0])[-1]
        texts = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
        self._before_value = {token for token, text in enumerate(texts) if text.rstrip().endswith(('":', '": "'))}
        self._json = {token for token, text in enumerate(texts) if text.startswith("{")}

    def token(self, text: str) -> int:
        """The id of an added token."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(text))

    def render(self, conversation: Conversation) -> str:
        tools: Any = conversation.tools or None
        return str(self.tokenizer.apply_chat_template(conversation.messages, tools=tools, tokenize=False))

    def plain_texts(self, conversation: Conversation) -> list[str]:
        """What the tokenizer has to learn: the rendered text between the marks."""
        return [text for text in MARKS.split(self.render(conversation)) if text.strip()]

    def __call__(self, conversation: Conversation) -> Encoded:
        ids = self.tokenizer.encode(self.render(conversation))
        weights = [0.0] * len(ids)
        width = len(self._opening)
        for start in (i for i, token in enumerate(ids) if token == self._start and ids[i : i + width] == self._opening):
            end = ids.index(self._end, start) + 1
            weights[start + width : end] = self._weigh(ids[start + width : end])
        return Encoded(ids, weights)

    def _weigh(self, said: list[int]) -> list[float]:
        """Of each token of one turn of the assistant's."""
        weights = []
        exact = json = said[0] in self._json
        for before, token in zip([self._start, *said], said, strict=False):
            exact = exact or token in (self._call, self._end)
            weights.append(self._weight(before, exact))
            exact = exact and (json or token != self._call_end)
        return weights

    def _weight(self, before: int, exact: bool) -> float:
        """Of the token after `before`; `exact`: within a call or JSON."""
        if before == self._start:
            return TURN_BEGINS
        if before == self._before_name:
            return NAME_BEGINS
        if exact and before in self._before_value:
            return VALUE_BEGINS
        return EXACT if exact else WORDS


def batches(
    encode: Callable[[int], Encoded], longest: Callable[[int], int], first: int, tokens: int, pad: int
) -> Iterator[tuple[int, Batch]]:
    """Endless batches of at most `tokens` padded tokens from conversation `first` on, each with the number at which
    the next pool begins: whoever goes on from there leaves out what was left of this one.

    Of a pool of conversations those of like length share a batch; those over `longest(number)` tokens are left out.
    """
    number = first
    while True:
        pool = [encode(number + offset) for offset in range(POOL)]
        fitting = [example for example in pool if len(example.ids) <= longest(number)]
        number += POOL
        groups = _alike(fitting, tokens)
        Random(number).shuffle(groups)
        for group in groups:
            yield number, collate(group, _width(group[-1]), pad)


def _alike(examples: list[Encoded], tokens: int) -> list[list[Encoded]]:
    """Groups of at most `tokens` padded tokens, shortest first; the longest of a group is its last."""
    groups: list[list[Encoded]] = [[]]
    for example in sorted(examples, key=lambda example: len(example.ids)):
        if (len(groups[-1]) + 1) * _width(example) > tokens:
            groups.append([])
        groups[-1].append(example)
    return [group for group in groups if group]


def _width(example: Encoded) -> int:
    """Its length with padding: a multiple, so that not every batch has a shape of its own."""
    return -(-len(example.ids) // WIDTH) * WIDTH


def collate(examples: list[Encoded], length: int, pad: int) -> Batch:
    ids = torch.full((len(examples), length), pad)
    weights = torch.zeros(len(examples), length)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    targets = weights.flatten().nonzero().flatten()
    return Batch(ids, targets - 1, ids.flatten()[targets], weights.flatten()[targets])
