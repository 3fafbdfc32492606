"""The grammar of a sentence, by itself: whatever it allows is one sentence within its bounds."""

import random
import re
from collections.abc import Callable

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase
from xgrammar import GrammarCompiler, GrammarMatcher, TokenizerInfo, allocate_token_bitmask

from server.prompt.filler.phrases import read_phrases
from server.prompt.filler.scripts import BY_NAME, Script
from server.prompt.filler.sentence import Bounds, sentence_grammar
from tests.prompt.walk import accepts, walk

DEFAULT = Bounds(3, 15, 100)
UNUSUAL = [Bounds(1, 6, 40), Bounds(6, 40, 90), Bounds(4, 12, 200)]
WALKS = 10
MARKUP = frozenset('<>{}[]()*#`_|\\/~^=+"\n\t')


def grammar(name: str, bounds: Bounds = DEFAULT) -> str:
    return f"root ::= filler\n{sentence_grammar(BY_NAME[name], bounds)}\n"


def check(text: str, script: Script, bounds: Bounds) -> None:
    """One sentence, within its bounds, that can be spoken."""
    inner = f"{script.letters}{script.marks}{script.comma}0-9'’ -"
    assert re.fullmatch(f"[{script.letters}][{inner}]*[{script.stops}]", text)
    assert not MARKUP & set(text)
    assert len(text) <= bounds.max_characters
    if script.word:
        assert len(text) <= bounds.max_words * script.word
    else:
        assert bounds.min_words <= len(text.split(" ")) <= bounds.max_words


@pytest.mark.parametrize("name", BY_NAME)
def test_every_walk_is_a_sentence(name: str) -> None:
    for seed in range(WALKS):
        check(walk(grammar(name), random.Random(seed)), BY_NAME[name], DEFAULT)


@pytest.mark.parametrize("name", ["latin", "devanagari", "arabic", "thai", "han"])
@pytest.mark.parametrize("bounds", UNUSUAL, ids=str)
def test_within_bounds_of_any_kind(name: str, bounds: Bounds) -> None:
    for seed in range(WALKS):
        check(walk(grammar(name, bounds), random.Random(seed)), BY_NAME[name], bounds)


@pytest.mark.parametrize("name", ["latin", "devanagari"])
@pytest.mark.parametrize("kind", ["nano", "pieces"])
def test_tokens_of_several_words_and_of_parts_of_characters(
    make_tokenizer: Callable[[str], PreTrainedTokenizerBase], kind: str, name: str
) -> None:
    vocabulary = TokenizerInfo.from_huggingface(make_tokenizer(kind))
    compiled = GrammarCompiler(vocabulary, max_threads=2).compile_grammar(grammar(name))
    mask = allocate_token_bitmask(1, vocabulary.vocab_size)
    for seed in range(WALKS):
        matcher, source, written = GrammarMatcher(compiled), random.Random(seed), b""
        while not matcher.is_terminated():
            matcher.fill_next_token_bitmask(mask)
            bits = np.unpackbits(mask.numpy().view(np.uint8), bitorder="little")[: vocabulary.vocab_size]
            token = source.choice(np.flatnonzero(bits))
            assert matcher.accept_token(int(token))
            written += vocabulary.decoded_vocab[token] if not matcher.is_terminated() else b""
        check(written.decode(), BY_NAME[name], DEFAULT)


@pytest.mark.parametrize("language", read_phrases().table)
def test_what_people_say_in_each_language_is_a_sentence(language: str) -> None:
    phrases = read_phrases()
    rules = grammar(phrases.scripts[language].name)
    for kind in phrases.table[language].values():
        assert [phrase for phrase in kind if not accepts(rules, phrase)] == []


@pytest.mark.parametrize(
    "text",
    [
        "Let me check the weather in Mumbai for you.",
        "I'm sorry to hear that, blocking it now.",
        "One moment, I'm opening account 4711.",
        "Sure, I'll look up the next follow-up appointment with John at once!",
    ],
)
def test_common_sentences_fit_the_blocks(text: str) -> None:
    assert accepts(grammar("latin"), text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello there.",
        "Let me check that for you",
        "Let me check. One moment please.",
        "Let me <b>check</b> that.",
        "Let me check\nthat now.",
        "- Let me check that.",
        "Let me check that 🙂.",
        "Let me  check that.",
        "Let me check that , please.",
        "Я сейчас проверю.",
        "word " * 15 + "more.",
        "a" * 30 + " b c.",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not accepts(grammar("latin"), text)


def test_the_script_is_the_conversations() -> None:
    assert accepts(grammar("devanagari"), "मैं अभी देखती हूँ।")
    assert not accepts(grammar("devanagari"), "Let me check that.")
