"""`AsyncLLM.generate` and nothing around it. Jobs on standard input, results on standard output."""

import asyncio
import os
import sys
import time
from typing import Any

import orjson
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM

from benchmarks.serving_layer.client import Results
from benchmarks.serving_layer.subjects import ENGINE
from server.nano import model_path

Turn = tuple[list[int], SamplingParams]


def turn(llm: AsyncLLM, body: dict[str, Any]) -> Turn:
    tokenizer: Any = llm.renderer.tokenizer
    messages, tools = body["messages"], body.get("tools")
    text = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
    params = SamplingParams(
        max_tokens=body["max_tokens"],
        temperature=0.0,
        seed=body["seed"],
        ignore_eos=body.get("ignore_eos", False),
        output_kind=RequestOutputKind.DELTA,
    )
    return tokenizer.encode(text, add_special_tokens=False), params


async def stream(llm: AsyncLLM, number: int, turns: list[Turn], results: Results) -> None:
    for index, (ids, params) in enumerate(turns):
        asked, arrived = time.perf_counter(), 0.0
        async for output in llm.generate(tokens_input(ids), params, f"{number}-{index}"):
            now = time.perf_counter()
            (results.gaps if arrived else results.ttfts).append(now - (arrived or asked))
            arrived = now
            results.arrivals += 1
            results.tokens += len(output.outputs[0].token_ids)
        results.cached += output.num_cached_tokens or 0


async def serve() -> None:
    engine = {**ENGINE, "scheduling_policy": "priority", "max_model_len": 32_768}
    args = AsyncEngineArgs(model=str(model_path()), enable_log_requests=False, **engine)
    llm = AsyncLLM.from_engine_args(args)
    answers = os.fdopen(os.dup(1), "wb", 0)
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        streams = [[turn(llm, body) for body in bodies] for bodies in orjson.loads(line)]
        results = Results()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(stream(llm, number, turns, results) for number, turns in enumerate(streams)))
        results.seconds, results.cpu = time.perf_counter() - began, time.process_time() - cpu
        answers.write(orjson.dumps(results) + b"\n")
    llm.shutdown()


if __name__ == "__main__":
    asyncio.run(serve())
