"""The training loop: resumable at any moment, cooled down when asked."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm  # type: ignore[import-untyped]

from server.nano.train.corpus import conversation
from server.nano.train.curriculum import drill_share, longest
from server.nano.train.data import Batch, Encoded, Encoder, batches
from server.nano.train.evaluate import make_exam, score
from server.nano.train.model import load_model, new_model
from server.nano.train.optimizer import Optimizers, rate_factor
from server.nano.train.precision import quick_dtype
from server.nano.train.threads import PoliteThreads

SAVE_EVERY = 25  # steps; an interruption loses no more


@dataclass
class Progress:
    """Where training stands; `history` holds one row per evaluation. `gently`: whether the first steps are small."""

    step: int = 0
    number: int = 0  # of the next conversation
    tokens: int = 0  # with padding
    seconds: float = 0.0
    gently: bool = True
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """`cool` steps at the end lower the rate to nothing; `every` steps come evaluation and checkpoint. `again` is the
    number of the conversation from which weights that are in the folder learn on; without it they are new.

    rate: share of the full rate.
    """

    steps: int
    cool: int = 0
    seed: int = 0
    batch_tokens: int = 4096
    every: int = 200
    questions: int = 120
    compiled: bool = True
    device: str = "cpu"
    again: int | None = None
    rate: float = 1.0


class Trainer:
    """A model, its optimizers and their progress, kept together in one checkpoint file."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.encoder = Encoder(folder)
        self.options = options
        self.progress = Progress()
        model: Any
        if options.again is None:
            model = new_model(self.encoder.tokenizer.backend_tokenizer, options.seed)
        else:
            model = load_model(folder)
            self.progress = Progress(number=options.again, gently=False)
        self.model = model.to(options.device)
        # On a CPU two plain products are a fifth quicker, the way back included, than torch's fused attention.
        self.model.set_attn_implementation("eager" if options.device == "cpu" else "sdpa")
        self.optimizers = Optimizers(self.model)
        self._threads = PoliteThreads(torch.get_num_threads())
        torch._inductor.config.cpp.dynamic_threads = True
        # Only the layers are compiled: the head sees as many positions as the assistant happens to say.
        self._hidden: Any = torch.compile(self.model.model, dynamic=True) if options.compiled else self.model.model

    def run(self, checkpoint: Path) -> None:
        """Train up to `options.steps`, from `checkpoint` if it exists, writing it and a log of scores beside it."""
        if checkpoint.exists():
            self.load(checkpoint)
        exam = make_exam(self.encoder, self.options.questions)
        stream = self._stream()
        with tqdm(total=self.options.steps, initial=self.progress.step, unit="step", mininterval=5) as bar:
            while self.progress.step < self.options.steps:
                started = time.monotonic()
                self._threads.adjust(started)
                number, batch = next(stream)
                loss = self._step(batch)
                self._advance(number, batch, time.monotonic() - started)
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", tokens=f"{self.progress.tokens / 1e6:.2f}M")
                last = self.progress.step == self.options.steps
                if last or self.progress.step % self.options.every == 0:
                    self._evaluate(exam, loss)
                if last or self.progress.step % SAVE_EVERY == 0:
                    self.save(checkpoint)

    def _stream(self) -> Iterator[tuple[int, Batch]]:
        pad = int(self.model.config.pad_token_id or 0)
        return batches(self._encode, longest, self.progress.number, self.options.batch_tokens, pad)

    def _encode(self, number: int) -> Encoded:
        return self.encoder(conversation(number, drills=drill_share(number)))

    def _step(self, batch: Batch) -> float:
        cooling = self.options.steps - self.options.cool if self.options.cool else None
        with self._autocast():
            loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        factor = rate_factor(self.progress.step, cooling, self.options.steps, self.progress.gently)
        self.optimizers.step(self.options.rate * factor)
        return float(loss.detach())

    def _autocast(self) -> torch.autocast:
        dtype = quick_dtype(self.options.device)
        return torch.autocast(self.options.device, dtype, enabled=dtype is not torch.float32)

    def _loss(self, batch: Batch) -> Tensor:
        device = self.options.device
        hidden = self._hidden(batch.ids.to(device), use_cache=False).last_hidden_state.flatten(0, 1)
        logits = self.model.lm_head(hidden[batch.positions.to(device)])
        losses = cross_entropy(logits.float(), batch.targets.to(device), reduction="none")
        weights = batch.weights.to(device)
        return (losses * weights).sum() / weights.sum()

    def _advance(self, number: int, batch: Batch, seconds: float) -> None:
        progress = self.progress
        progress.step, progress.number = progress.step + 1, number
        progress.tokens += batch.ids.numel()
        progress.seconds += seconds

    def _evaluate(self, exam: Any, loss: float) -> None:
        with self._autocast():
            scores = score(self.model, self.encoder, exam)
        row = {"step": self.progress.step, "tokens": self.progress.tokens, "seconds": round(self.progress.seconds)}
        self.progress.history.append(
            {**row, "train loss": round(loss, 4), **{k: round(v, 4) for k, v in scores.items()}}
        )
        tqdm.write(json.dumps(self.progress.history[-1]))

    def save(self, checkpoint: Path) -> None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "progress": asdict(self.progress),
        }
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)

    def load(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, map_location=self.options.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.progress = Progress(**state["progress"])
