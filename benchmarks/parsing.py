"""What the parsers cost: one call with a long argument, for every family, at two sizes.

python -m benchmarks.parsing

Shapes: `prose` is one long string with quotes, escapes and Devanagari; `dense` is a list of small objects, numbers and
words, as many JSON tokens to the kilobyte as arguments ever have. Feeds: `whole` is one piece, as in an answer that is
not streamed; `tokens` is four characters a piece, as an engine writes them. A ratio near 1 between the two sizes means
linear time.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Mapping
from functools import partial

from server.parsing import FAMILIES, make_parser

PROSE = 'Say "एक मिनट", then {wait} [a moment], it\\\'s at C:\\temp.\n'
ROW = {"id": 17, "ok": True, "name": "Ada", "tags": ["a", "b"], "at": [1.5, -2, None]}
SCHEMAS: Mapping[str, Mapping[str, object]] = {
    "f": {"type": "object", "properties": {"prose": {"type": "string"}, "dense": {"type": "array"}}}
}
KILO = 1000  # characters
TOKEN = 4  # characters


def value(shape: str, size: int) -> object:
    """About `size` characters when written as JSON."""
    unit: object = PROSE if shape == "prose" else ROW
    times = size // len(json.dumps(unit, ensure_ascii=False))
    return PROSE * times if shape == "prose" else [ROW] * times


def call(family: str, shape: str, size: int) -> str:
    """How the family writes it."""
    grammar = FAMILIES[family].grammar
    assert grammar is not None
    argument = value(shape, size)
    text = argument if isinstance(argument, str) else json.dumps(argument)
    arguments = {
        "json": json.dumps({shape: argument}, ensure_ascii=False),
        "qwen_xml": f"<parameter={shape}>\n{text}\n</parameter>",
        "glm_xml": f"<arg_key>{shape}</arg_key><arg_value>{text}</arg_value>",
        "keywords": f"{shape}={argument!r}",
    }[grammar.style]
    return grammar.opening + grammar.begin + "f" + grammar.middle + arguments + grammar.end + grammar.closing


def parse(family: str, text: str, step: int) -> None:
    parser = make_parser(family, tools=True, schemas=SCHEMAS)
    for start in range(0, len(text), step):
        parser.feed(text[start : start + step])
    parser.finish()
    assert not parser.failures and not parser.cut


def best(work: Callable[[], None], rounds: int) -> float:
    """Seconds of processor time of the quickest round: the others were disturbed."""
    times = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=100 * KILO, help="characters of the larger argument")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    sizes = (chosen.size // 4, chosen.size)
    print(f"{'family':15s} {'shape':6s} {'feed':6s} {'ms':>8s}  {'µs/kB at each size':>19s}  ratio")
    for family in (name for name, row in FAMILIES.items() if row.grammar):
        for shape in ("prose", "dense"):
            texts = [call(family, shape, size) for size in sizes]
            for feed, step in (("whole", chosen.size * 2), ("tokens", TOKEN)):
                seconds = [best(partial(parse, family, text, step), chosen.rounds) for text in texts]
                small, large = (spent * 1e6 / len(text) * KILO for spent, text in zip(seconds, texts, strict=True))
                row = f"{family:15s} {shape:6s} {feed:6s} {seconds[1] * 1e3:8.1f}"
                print(f"{row}  {small:9.1f} {large:9.1f}  {large / small:5.2f}")


if __name__ == "__main__":
    main()
