"""End to end for `benchmarks.kernels`: vLLM with random weights of an 8B shape, calls that share a prompt.

Per number of calls and shared tokens: the prompt is cached first, then all calls come at once, each with 512 tokens of
its own. The inter-token latency is the median over the engine's steps in which every call got one token.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OWN, OUTPUT, VOCABULARY = 512, 128, 151_936
SHAPE_8B = {
    "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": VOCABULARY, "tie_word_embeddings": False,
}  # fmt: skip
SHAPE_DRY = SHAPE_8B | {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 4096}


def make_model(folder: str, shape: dict[str, Any]) -> None:
    from transformers import Qwen3Config

    Qwen3Config(
        **shape, architectures=["Qwen3ForCausalLM"], max_position_embeddings=32768, rope_theta=1e6, dtype="bfloat16"
    ).save_pretrained(folder)


def make_engine(folder: str, gate: Path | None, calls: int, dry: bool) -> Any:
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    sharing: dict[str, Any] = {}
    if gate is not None:
        with tempfile.NamedTemporaryFile(delete=False) as page:
            config = {"gate": json.loads(gate.read_text()), "counters": page.name}
        sharing = {"attention_backend": "CUSTOM", "additional_config": {"shared_prefix_attention": config}}
    small = {"gpu_memory_utilization": 0.05, "compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}}
    return LLMEngine.from_engine_args(
        EngineArgs(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            max_model_len=2048 if dry else 32768,
            max_num_seqs=max(calls, 4),
            enable_prefix_caching=True,
            **(small if dry else {"gpu_memory_utilization": 0.9}),
            **sharing,
        )
    )


def run(engine: Any, prompts: list[list[int]], output: int) -> dict[str, float]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    params = SamplingParams(
        temperature=0, max_tokens=output, ignore_eos=True, detokenize=False, output_kind=RequestOutputKind.DELTA
    )
    begin = time.perf_counter()
    for i, prompt in enumerate(prompts):
        engine.add_request(f"{begin}-{i}", {"prompt_token_ids": prompt}, params)
    steps, last, tokens = [], None, 0
    while engine.has_unfinished_requests():
        outputs = engine.step()
        now = time.perf_counter()
        counts = [len(output.outputs[0].token_ids) for output in outputs]
        tokens += sum(counts)
        whole = len(counts) == len(prompts) and all(count == 1 for count in counts)
        if whole and last is not None:
            steps.append(now - last)
        last = now if whole else None
    seconds = time.perf_counter() - begin
    return {"itl_ms": statistics.median(steps or [0.0]) * 1000, "steps": len(steps), "tokens_per_s": tokens / seconds}


def measure(engine: Any, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per shared prompt and number of calls."""
    draw, top = np.random.default_rng(0), 4000 if asked.dry else VOCABULARY
    own, output = (20, 8) if asked.dry else (OWN, OUTPUT)
    for prefix in asked.prefixes:
        shared = draw.integers(10, top, prefix).tolist()
        run(engine, [shared], 2)
        for calls in asked.calls:
            prompts = [shared + draw.integers(10, top, own).tolist() for _ in range(calls)]
            row = {"what": "engine", "on": asked.gate is not None, "calls": calls, "prefix": prefix, "own": own}
            yield row | run(engine, prompts, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gate", type=Path, help="on, with this table")
    parser.add_argument("--calls", type=int, nargs="+", required=True)
    parser.add_argument("--prefixes", type=int, nargs="+", required=True)
    parser.add_argument("--dry", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, asked.out.open("a") as file:
        make_model(folder, SHAPE_DRY if asked.dry else SHAPE_8B)
        engine = make_engine(folder, asked.gate, max(asked.calls), asked.dry)
        try:
            for row in measure(engine, asked):
                file.write(json.dumps(row) + "\n")
                file.flush()
        finally:
            engine.engine_core.shutdown()  # else the interpreter waits for the engine's process for ever


if __name__ == "__main__":
    main()
