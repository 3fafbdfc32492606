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
from server.nano.train.tokenizer import MARKUP, SPECIAL, TURN_END, TURN_START

POOL = 256  # conversations from which batches are put together
WIDTH = 16  # tokens
MARKS = regex.compile("|".join(regex.escape(mark) for mark in SPECIAL + MARKUP))


@dataclass(frozen=True)
class Encoded:
    """Token ids of one conversation, and for each id whether the assistant says it (its turn end included)."""

    ids: list[int]
    said: list[bool]


@dataclass(frozen=True)
class Batch:
    """`ids` [B, T] int64, padded right; `targets` [N] int64 follow the flat positions `positions` [N] int64."""

    ids: Tensor
    positions: Tensor
    targets: Tensor


class Encoder:
    """Renders with the shipped chat template, so that training sees what the server sends."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = cast(PreTrainedTokenizerFast, AutoTokenizer.from_pretrained(folder))
        self._start, self._end = (self.token(text) for text in (TURN_START, TURN_END))
        self._opening = self.tokenizer.encode(f"{TURN_START}assistant\n")

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
        said = [False] * len(ids)
        width = len(self._opening)
        for start in (i for i, token in enumerate(ids) if token == self._start and ids[i : i + width] == self._opening):
            end = ids.index(self._end, start)
            said[start + width : end + 1] = [True] * (end + 1 - start - width)
        return Encoded(ids, said)


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
    said = torch.zeros(len(examples), length, dtype=torch.bool)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        said[row, : len(example.ids)] = torch.tensor(example.said)
    targets = said.flatten().nonzero().flatten()
    return Batch(ids, targets - 1, ids.flatten()[targets])
