"""The processor time that the prompt of one more turn takes, in conversations of several lengths; without an engine.

python -m benchmarks.serving_layer.preparation
"""

import statistics
import time
from typing import get_args

import orjson

from benchmarks.serving_layer.workload import Kind, conversation, system_prompt
from server.nano import model_path
from server.parsing import FAMILIES, detect
from server.prompt import PromptBuilder, load_prompt_builder
from server.protocol import Limits, parse_chat

LENGTHS = (0, 5, 10, 20, 40)  # turns before the one that is measured
CONVERSATIONS = 30


def main() -> None:
    builder = load_prompt_builder(str(model_path()), context_window=32_768)
    family = FAMILIES[detect(builder.chat_template)]
    builder = builder.speaking(family.grammar, family.thought)
    system = system_prompt(lambda text: len(builder.tokenizer.encode(text)))
    print("| turns | tokens | first seen, ms | one more turn p50 / p99, ms |", "|---|---|---|---|", sep="\n")
    for kind in get_args(Kind):
        for length in LENGTHS:
            print(line(builder, system, kind, length), flush=True)


def line(builder: PromptBuilder, system: str, kind: Kind, length: int) -> str:
    limits = Limits(models=("electron",), vocab_size=builder.tokenizer.vocab_size)
    first, later, tokens = [], [], 0
    for number in range(CONVERSATIONS):
        talk = conversation(f"{number} {length} {system}", number, length + 2, kind, "electron")
        before, after = (parse_chat(orjson.dumps(body), limits) for body in talk[-2:])
        times = [time.thread_time()]
        for request in (before, after):
            tokens = len(builder.chat(request, owner=kind).token_ids)
            times.append(time.thread_time())
        first.append(1000 * (times[1] - times[0]))
        later.append(1000 * (times[2] - times[1]))
    quantiles = statistics.quantiles(later, n=100, method="inclusive")
    return (
        f"| {length + 2}, {kind} | {tokens:,} | {statistics.median(first):.1f} "
        f"| {quantiles[49]:.2f} / {quantiles[98]:.2f} |"
    )


if __name__ == "__main__":
    main()
