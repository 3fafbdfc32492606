import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from server.nano import model_path
from server.nano.train.corpus.languages import GREETINGS
from server.nano.train.tokenizer import BEFORE_NAMES, MARKUP, SPECIAL, train_tokenizer, words_of

SHIPPED = Tokenizer.from_file(str(model_path() / "tokenizer.json"))


def ids(text: str) -> list[int]:
    return SHIPPED.encode(text).ids


def test_there_are_70_languages():
    assert len(GREETINGS) == 70


@pytest.mark.parametrize("language", sorted(GREETINGS))
def test_every_language_survives_a_round_trip(language):
    assert SHIPPED.decode(ids(GREETINGS[language])) == GREETINGS[language]


@settings(deadline=None)
@given(st.text())
def test_any_text_survives_a_round_trip(text):
    assert SHIPPED.decode(ids(text), skip_special_tokens=False) == text


@settings(deadline=None)
@given(st.text(st.characters(categories=["Nd"]), min_size=1, max_size=12))
def test_each_digit_stands_alone(digits):
    # A digit outside ASCII may take several byte tokens, but no token ever covers two digits.
    assert ids(digits) == [token for digit in digits for token in ids(digit)]


@pytest.mark.parametrize("word", ["Pune", "Zarnelvok", "margherita", "पुणे", "Bogotá", "O'Brien", "Quilby"])
def test_a_value_has_the_same_tokens_in_a_sentence_and_in_json(word):
    inside = ids(word)
    for text in (f"weather in {word} please", f"({word})", json.dumps({"city": word}, ensure_ascii=False), f"{word}."):
        tokens = ids(text)
        assert any(tokens[i : i + len(inside)] == inside for i in range(len(tokens)))


@pytest.mark.parametrize(
    ("language", "text", "least"),
    [
        ("en", "Let me check the weather in the city for you, one moment please.", 2.5),
        ("es", "Un momento, por favor, busco su pedido en la cuenta.", 2.5),
        ("hi", "एक पल रुकिए, मैं आपका ऑर्डर देखती हूँ।", 2.0),
    ],
)
def test_the_main_languages_compress(language, text, least):
    # In characters per token; bytes alone would give 1.0 for Latin letters and 0.4 for Devanagari.
    assert len(text) / len(ids(text)) >= least


def test_marks_are_single_tokens_and_only_turn_marks_are_special(tokenizer):
    for mark in SPECIAL + MARKUP:
        assert len(ids(mark)) == 1
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    assert special == set(SPECIAL)
    assert set(tokenizer.all_special_tokens) == set(SPECIAL)


def test_what_stands_before_a_name_is_one_token_wherever_it_stands():
    for name in ("get_weather", "x", "पुणे"):
        call = f'<tool_call>\n{{"name": "{name}", "arguments": {{"city": "Pune"}}}}\n</tool_call>'
        assert [SHIPPED.decode([token]) for token in ids(call)].count(BEFORE_NAMES[0]) == 1
        assert [SHIPPED.decode([token]) for token in ids(call)].count(BEFORE_NAMES[1]) == 1


def test_words_are_tokens_of_letters():
    words = {SHIPPED.decode([token]).strip() for token in words_of(SHIPPED)}
    assert {"weather", "the"} <= words
    assert all(len(word) > 1 and not set(word) & set('0123456789"{}<>_\n') for word in words)


def test_the_configuration_names_the_ends(tokenizer):
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 32_768
    assert 4096 <= len(tokenizer) <= 8192


def test_training_is_deterministic():
    texts = [*GREETINGS.values()] * 3
    made = [train_tokenizer(texts, ["Pune"], vocab_size=700, spaced_words=40).to_str() for _ in range(2)]
    assert made[0] == made[1]
    assert Tokenizer.from_str(made[0]).get_vocab_size() <= 700
