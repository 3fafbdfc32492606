"""A vLLM worker whose forward pass costs nothing, so that what remains is the serving layer.

Scheduler, prefix cache and the transport between the processes stay vLLM's own. Each scheduled request gets one token a
step from a script; which one, its `seed` says, since every front end passes that on.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from transformers import AutoTokenizer
from vllm.v1.outputs import ModelRunnerOutput

from benchmarks.serving_layer.workload import SCRIPTS
from kernels.cpu.worker import Worker


class NullWorker(Worker):
    def load_model(self, **kwargs: Any) -> None:
        super().load_model(**kwargs)
        tokenizer = AutoTokenizer.from_pretrained(self.model_config.tokenizer)
        ends = [tokenizer.eos_token_id]
        self.scripts = {seed: tokenizer.encode(text, add_special_tokens=False) + ends for seed, text in SCRIPTS.items()}
        self.progress: dict[str, Progress] = {}

    def execute_model(self, scheduled: Any) -> None:
        for request_id in scheduled.finished_req_ids:
            self.progress.pop(request_id, None)
        for request in scheduled.scheduled_new_reqs:
            script = self.scripts.get(request.sampling_params.seed, self.scripts[1])
            self.progress[request.req_id] = Progress(script, len(request.prompt_token_ids), request.num_computed_tokens)
        cached = scheduled.scheduled_cached_reqs
        for request_id, computed in zip(cached.req_ids, cached.num_computed_tokens, strict=True):
            self.progress[request_id].computed = computed
        ids = list(scheduled.num_scheduled_tokens)
        tokens = [self.progress[name].step(scheduled.num_scheduled_tokens[name]) for name in ids]
        self.output = ModelRunnerOutput(
            req_ids=ids, req_id_to_index={name: row for row, name in enumerate(ids)}, sampled_token_ids=tokens
        )

    def sample_tokens(self, grammar_output: Any) -> ModelRunnerOutput:
        """A grammar is obeyed: the server's warm-up asks for some."""
        for name, mask in _masks(grammar_output):
            said = self.output.sampled_token_ids[self.output.req_id_to_index[name]]
            said[:] = [_allowed(mask, token) for token in said]
        return self.output


def _masks(grammar_output: Any) -> Iterable[tuple[str, Any]]:
    if grammar_output is None:
        return ()
    return zip(grammar_output.structured_output_request_ids, grammar_output.grammar_bitmask, strict=True)


def _allowed(mask: Any, token: int) -> int:
    """The token, or the first one that may stand in its place. mask: 32 tokens in each integer."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return token if bits[token] else int(bits.argmax())


class Progress:
    """One request: how many tokens its prompt has, and how many were computed."""

    def __init__(self, script: list[int], prompt: int, computed: int) -> None:
        self.computed = computed
        self._script = script
        self._prompt = prompt

    def step(self, scheduled: int) -> list[int]:
        self.computed += scheduled
        said = self.computed - self._prompt
        return [self._script[said % len(self._script)]] if said >= 0 else []
