"""How long our event loop is held up while prompts of 30,000 tokens come, one a second, none of which is cached.

By the server's own histogram of it, so that what delays this program does not count.

python -m benchmarks.serving_layer.long_prompts
"""

import argparse
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import cache

import httpx
from transformers import AutoTokenizer

from benchmarks.serving_layer.subjects import Server, started
from benchmarks.serving_layer.workload import WORDS
from benchmarks.voice.servers import scratch
from server.nano import model_path

TOKENS = 30_000
PORT = 8410
LAG = re.compile(r'^electron_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server ends with this
    with scratch() as folder, started(["ours"], folder, PORT, []) as (subject,):
        assert isinstance(subject, Server)
        subject.run(prompts(0))
        print(f"idle: {held_up(lambda: time.sleep(options.seconds))}", flush=True)
        print(f"long prompts: {held_up(lambda: send(subject, options.seconds))}")


def held_up(work: Callable[[], None]) -> str:
    """What the histogram says of that time."""
    before = buckets()
    work()
    counts = {edge: count - before.get(edge, 0.0) for edge, count in buckets().items()}
    looks = max(counts.values())
    p99 = next(edge for edge, count in counts.items() if count >= 0.99 * looks)
    shares = ", ".join(f"{100 * count / looks:.1f}% up to {1000 * edge:g} ms" for edge, count in counts.items())
    return f"p99 up to {1000 * p99:g} ms ({looks:.0f} looks: {shares})"


def buckets() -> dict[float, float]:
    """Looks by how late they were at most, in seconds; ascending."""
    page = httpx.get(f"http://127.0.0.1:{PORT}/metrics", timeout=60).text
    return {float(edge): float(count) for edge, count in LAG.findall(page)}


def prompts(number: int) -> list[list[dict[str, object]]]:
    """One, of which nothing is cached."""
    text = " ".join(random.Random(number).choices(WORDS, k=number_of_words()))
    return [
        [
            {
                "model": "electron",
                "messages": [{"role": "user", "content": text}],
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": 2,
                "seed": 1,
                "ignore_eos": True,
            }
        ]
    ]


@cache
def number_of_words() -> int:
    tokenizer = AutoTokenizer.from_pretrained(str(model_path()))
    sample = " ".join(random.Random(0).choices(WORDS, k=2000))
    return 2000 * TOKENS // len(tokenizer.encode(sample))


def send(subject: Server, seconds: int) -> None:
    for number in range(1, seconds + 1):
        began = time.monotonic()
        subject.run(prompts(number))
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
