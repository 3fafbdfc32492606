"""Cheap scores on held-out conversations: with the right words before it, would greedy decoding go on exactly right?

Where only one continuation is right (a tool's name, the arguments, a JSON answer), greedy generation gives the same.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from server.nano.train.corpus import Conversation, conversation
from server.nano.train.data import Encoded, Encoder, collate
from server.nano.train.tokenizer import MARKUP

HELD_OUT_BATCH = 8


@dataclass(frozen=True)
class Exam:
    """Held-out conversations with their tokens, shortest first, so that a batch has little padding."""

    questions: list[tuple[Conversation, Encoded]]


def make_exam(encoder: Encoder, size: int, longest: int = 768) -> Exam:
    examples = [conversation(number, held_out=True) for number in range(size)]
    pairs = [(example, encoder(example)) for example in examples]
    return Exam(sorted((pair for pair in pairs if len(pair[1].ids) <= longest), key=lambda pair: len(pair[1].ids)))


@torch.no_grad()
def score(model: Qwen3ForCausalLM, encoder: Encoder, exam: Exam) -> dict[str, float]:
    """Shares between 0 and 1 by name of the measure, and the mean loss in nats per token that the assistant says."""
    marks: dict[str, list[float]] = defaultdict(list)
    call = encoder.token(MARKUP[0])
    for start in range(0, len(exam.questions), HELD_OUT_BATCH):
        questions = exam.questions[start : start + HELD_OUT_BATCH]
        length = max(len(encoded.ids) for _, encoded in questions)
        batch = collate([encoded for _, encoded in questions], length, 0)
        hidden = model.model(batch.ids, use_cache=False).last_hidden_state.flatten(0, 1)[batch.positions]
        logits = model.lm_head(hidden).float()
        marks["loss"].append(float(torch.nn.functional.cross_entropy(logits, batch.targets)))
        _mark_batch(marks, questions, logits.argmax(-1), batch.targets, call)
    return {name: sum(values) / len(values) for name, values in sorted(marks.items())}


def _mark_batch(
    marks: dict[str, list[float]],
    questions: list[tuple[Conversation, Encoded]],
    guesses: Tensor,
    targets: Tensor,
    call: int,
) -> None:
    offset = 0
    for example, encoded in questions:
        for kind, width in zip(example.kinds.values(), _turn_widths(encoded), strict=True):
            turn = slice(offset, offset + width)
            _mark_turn(marks, kind, example.wants_filler, guesses[turn].tolist(), targets[turn].tolist(), call)
            offset += width


def _mark_turn(
    marks: dict[str, list[float]], kind: str, filler: bool, guess: list[int], target: list[int], call: int
) -> None:
    if kind == "call":
        begin = target.index(call)
        marks["call exact"].append(guess[begin + 1 :] == target[begin + 1 :])
        marks["filler first" if filler else "call first"].append((guess[0] != call) is filler)
    elif kind in ("no_tool", "clarify", "small_talk"):
        marks[f"{kind} speaks"].append(guess[0] != call)
        marks[f"{kind} begins right"].append(guess[0] == target[0])
    elif kind in ("json", "drill"):
        marks[f"{kind} exact"].append(guess == target)
    else:
        marks[f"{kind} tokens"].append(sum(a == b for a, b in zip(guess, target, strict=True)) / len(target))


def _turn_widths(encoded: Encoded) -> list[int]:
    """Number of tokens of each assistant turn."""
    widths, run = [], 0
    for weight in [*encoded.weights, 0.0]:
        if weight:
            run += 1
        elif run:
            widths.append(run)
            run = 0
    return widths
