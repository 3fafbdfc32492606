"""Byte-level BPE made for copying: a word has the same tokens wherever it stands.

In plain GPT-style BPE " Pune" in a sentence and "Pune" in a JSON string are different tokens, and a small model has to
learn that they are the same word, once per word. Here merges are first learned on words without their space. Only then
is the space merged in front of the most frequent wording ("the", "you", "आप"), not of what is often a value or part of
a tool's name. Digits always stand alone.
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import regex  # type: ignore[import-untyped]
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, TURN_START, TURN_END)
# Added, so that each is one token, but not special: like Qwen3, so that they stay visible in decoded text.
MARKUP = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")

WORD = r"[\p{L}\p{M}]+(?:['’]\p{L}+)?"
PUNCTUATION = r"[^\s\p{L}\p{M}\p{N}]+(?: [^\s\p{L}\p{M}\p{N}]+)*"
BLANK = r"\n+|\s+(?!\S)|\s"
# A word keeps its space apart if more than one in this many of its occurrences is copied.
COPIED_SELDOM = 10
# What stands before a tool's name and before its first argument is one token each: who looks one token back cannot tell
# a name from any other string after `": "`.
BEFORE_NAMES = ('{"name": "', '", "arguments": {')
LITERAL = "|".join(map(regex.escape, BEFORE_NAMES))
SPACED = rf"{LITERAL}| ?{WORD}|\p{{N}}|{PUNCTUATION}|{BLANK}"
UNSPACED = rf"{WORD}|\p{{N}}|{PUNCTUATION}|{BLANK}"


def train_tokenizer(
    texts: Iterable[str], values: Iterable[str], vocab_size: int = 4096, spaced_words: int = 500
) -> Tokenizer:
    """At most `vocab_size` tokens learned from `texts`; words frequent in `values` never absorb their space."""
    corpus = list(texts)
    reserved = len(SPECIAL) + len(MARKUP)
    first = _learn(corpus, vocab_size - spaced_words - reserved)
    model = json.loads(first.to_str())["model"]
    vocab, merges = model["vocab"], model["merges"]
    for text in BEFORE_NAMES:
        _join(text, vocab, merges)
    for word in islice(_frequent_words(corpus, values, vocab), vocab_size - reserved - len(vocab)):
        merges.append(["Ġ", word])
        vocab["Ġ" + word] = len(vocab)
    tokenizer = _with_pattern(BPE(vocab=vocab, merges=[(left, right) for left, right in merges]), SPACED)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKUP])
    return tokenizer


def words_of(tokenizer: Tokenizer) -> list[int]:
    """Ids of the tokens of two letters or more and nothing else, with a space before them or not."""
    added = set(tokenizer.get_added_tokens_decoder())
    texts = {i: tokenizer.decode([i]) for i in range(tokenizer.get_vocab_size()) if i not in added}
    return [i for i, text in texts.items() if regex.fullmatch(r" ?[\p{L}\p{M}]{2,}", text)]


def _join(text: str, vocab: dict[str, int], merges: list[list[str]]) -> None:
    """Merges, after all others, that make one token of `text`."""
    tokenizer = _with_pattern(BPE(vocab=vocab, merges=[(left, right) for left, right in merges]), LITERAL)
    whole, *rest = tokenizer.encode(text).tokens
    for piece in rest:
        merges.append([whole, piece])
        whole += piece
        vocab.setdefault(whole, len(vocab))


def _learn(corpus: list[str], vocab_size: int) -> Tokenizer:
    tokenizer = _with_pattern(BPE(), UNSPACED)
    trainer = BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False, max_token_length=24
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def _with_pattern(model: BPE, pattern: str) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(pattern), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def _frequent_words(corpus: list[str], values: Iterable[str], vocab: dict[str, int]) -> Iterable[str]:
    """Words of one token that follow a space, most frequent first, in the byte alphabet of the vocabulary."""
    copied = Counter(word for value in values for word in regex.findall(WORD, value))
    counts = Counter(word[1:] for text in corpus for word in regex.findall(f" {WORD}", text))
    as_bytes = ByteLevel(add_prefix_space=False, use_regex=False)
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if copied[word] * COPIED_SELDOM > count:
            continue
        token = as_bytes.pre_tokenize_str(word)[0][0]
        if token in vocab and "Ġ" + token not in vocab:
            yield token
