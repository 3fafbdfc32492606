"""What the grammar of a voice turn costs an engine, by the vocabulary: `python -m benchmarks.grammar_cost`.

Without a model and without a server. What is compiled when a script is first spoken and when further tools are offered,
in processor seconds on one core, and what each token costs after that.
"""

import argparse
import base64
import json
import time
from pathlib import Path

from transformers import AutoTokenizer
from xgrammar import CompiledGrammar, GrammarCompiler, GrammarMatcher, TokenizerInfo, VocabType, allocate_token_bitmask

from benchmarks.voice.summary import quantile
from server.nano import model_path
from server.parsing.grammar import HERMES
from server.prompt.filler.scripts import BY_NAME, SCRIPTS, Script
from server.prompt.filler.sentence import Bounds, sentence_grammar
from server.prompt.schema_grammar import arguments_grammar
from server.prompt.turn import Calls, turn_grammar

BOUNDS = Bounds(3, 15, 100)
SAID = {
    "an answer": "It is sunny in Madrid today, with 24 degrees and a light wind from the west, so you will not need an "
    "umbrella. Is there anything else that I can do for you, perhaps book the table for eight o'clock?",
    "words and a call": "Let me check the weather in Madrid for you.\n<tool_call>\n"
    '{"name": "tool_0_0", "arguments": {"city": "Madrid", "days": 3, "note": "with rain and wind"}}\n</tool_call>',
}


def grammar(script: Script, which: int, tools: int) -> str:
    """Of a turn with so many tools, which are other ones for each `which`."""
    types = {"city": "string", "days": "integer", "note": "string"}
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in types.items()}}
    arguments = arguments_grammar(json.dumps(schema | {"required": ["city"]}).encode(), False)
    calls = Calls(HERMES, {f"tool_{which}_{tool}": arguments for tool in range(tools)}, False, False)
    return turn_grammar(calls, None, sentence_grammar(script, BOUNDS), None)


def vocabulary(tokenizer: Path, ranks: Path | None) -> TokenizerInfo:
    """ranks: of a file in tiktoken's format, a token in base64 and its number on each line; None: the tokenizer's."""
    if ranks is None:
        return TokenizerInfo.from_huggingface(AutoTokenizer.from_pretrained(tokenizer))
    lines = (line.split() for line in ranks.read_text().splitlines() if line)
    tokens = [base64.b64decode(token) for token, _ in sorted(lines, key=lambda line: int(line[1]))]
    return TokenizerInfo([*tokens, b"<end>"], vocab_type=VocabType.RAW, stop_token_ids=[len(tokens)])


def compiled(compiler: GrammarCompiler, text: str) -> tuple[CompiledGrammar, float]:
    started = time.process_time()
    made = compiler.compile_grammar(text)
    return made, time.process_time() - started


def tokens_of(text: str, known: dict[bytes, int], longest: int) -> list[int]:
    """Always the longest that fits: near enough to what a model says."""
    rest, ids = text.encode(), []
    while rest:
        size = next(size for size in range(min(longest, len(rest)), 0, -1) if rest[:size] in known)
        ids.append(known[rest[:size]])
        rest = rest[size:]
    return ids


def per_token(made: CompiledGrammar, ids: list[int], size: int) -> list[float]:
    """Microseconds for what the engine does between two tokens: fill the mask, take the token."""
    matcher, mask, costs = GrammarMatcher(made), allocate_token_bitmask(1, size), []
    for token in ids:
        started = time.perf_counter()
        matcher.fill_next_token_bitmask(mask)
        accepted = matcher.accept_token(token)
        costs.append((time.perf_counter() - started) * 1e6)
        assert accepted
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, default=model_path(), help="folder")
    parser.add_argument("--ranks", type=Path, help="a vocabulary in tiktoken's format instead")
    parser.add_argument("--tools", type=int, default=6)
    parser.add_argument("--sets", type=int, default=40, help="of other tools, one after the other")
    options = parser.parse_args()

    info = vocabulary(options.tokenizer, options.ranks)
    compiler = GrammarCompiler(info, max_threads=1, cache_limit_bytes=2**29)  # vLLM's bound
    print(f"{info.vocab_size:,} tokens; seconds to compile when first spoken:")
    for script in SCRIPTS:
        _, seconds = compiled(GrammarCompiler(info, max_threads=1), grammar(script, 0, options.tools))
        print(f"  {script.name:<11}{seconds:8.3f}", flush=True)

    made, _ = compiled(compiler, grammar(BY_NAME["latin"], 0, options.tools))
    further = [
        compiled(compiler, grammar(BY_NAME["latin"], 1 + which, options.tools))[1] for which in range(options.sets)
    ]
    print(f"further tools: p50 {quantile(further, 50):.3f}, at most {max(further):.3f} s")

    known = {token: number for number, token in enumerate(info.decoded_vocab) if token}
    longest = min(32, max(map(len, known)))
    for name, text in SAID.items():
        ids = tokens_of(text, known, longest)
        costs = [cost for _ in range(5) for cost in per_token(made, ids, info.vocab_size)]
        print(f"{name}, {len(ids)} tokens: p50 {quantile(costs, 50):.0f}, p95 {quantile(costs, 95):.0f} us each")


if __name__ == "__main__":
    main()
