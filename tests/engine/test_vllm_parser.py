"""vLLM's parsers behind our promises: real formats of families that the house has no parser for."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from server.engine.vllm_parser import VllmParser, parser_names
from server.parsing import foreign_family, make_parser
from server.parsing.foreign import MARKERS
from server.records import Arguments, Text, ToolCall

SPECIAL = [
    *("<tool_calls>", "</tool_calls>", "<|tool_call|>", "<tool_call>", "</tool_call>", "<|action_start|>"),
    *("<|action_end|>", "<|plugin|>", "<minimax:tool_call>", "</minimax:tool_call>", "<seed:tool_call>"),
    *("</seed:tool_call>", "<seed:think>", "</seed:think>", "<think>", "</think>", "<|tool_calls_section_begin|>"),
    *("<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>", "<|tool_call_argument_begin|>"),
]
SCHEMAS = {"get_weather": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}
JSON = '[{"name": "get_weather", "arguments": {"city": "Pune"}}]'
KIMI = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
    '{"city": "Pune"}<|tool_call_end|><|tool_calls_section_end|>'
)
CALLS = {
    "kimi_k2": KIMI,
    "jamba": f"<tool_calls>{JSON}</tool_calls>",
    "hunyuan_a13b": f"<tool_calls>{JSON}</tool_calls>",
    "granite": f"<|tool_call|>{JSON}",
    "granite4": f"<tool_call>{JSON[1:-1]}</tool_call>",
    "internlm": f"<|action_start|><|plugin|>{JSON[1:-1]}<|action_end|>",
    "phi4_mini_json": f"functools{JSON}",
    "minimax_m2": '<minimax:tool_call><invoke name="get_weather"><parameter name="city">Pune</parameter></invoke>'
    "</minimax:tool_call>",
    "seed_oss": "<seed:tool_call><function=get_weather><parameter=city>Pune</parameter></function></seed:tool_call>",
}
WITH_WORDS = [name for name in CALLS if name != "phi4_mini_json"]  # vLLM's reads calls of that at the head alone
each_family = pytest.mark.parametrize("name", CALLS)


def make_tokenizer(special: list[str]) -> PreTrainedTokenizerFast:
    """Bytes, and special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(SPECIAL)


def events(name: str, tokenizer: PreTrainedTokenizerFast, pieces: list[str]) -> list[object]:
    family = foreign_family(VllmParser(name, tokenizer).extractor, special_tokens=True)
    parser = make_parser(family, tools=True, new_id=lambda: "a", schemas=SCHEMAS)
    return [event for piece in pieces for event in parser.feed(piece)] + list(parser.finish())


@each_family
def test_a_call(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    expected = [ToolCall(0, "a", "get_weather"), Arguments(0, '{"city": "Pune"}')]
    assert events(name, tokenizer, [CALLS[name]]) == expected
    assert events(name, tokenizer, list(CALLS[name])) == expected


@pytest.mark.parametrize("name", WITH_WORDS)
def test_words_before_a_call(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    expected = [Text("One moment."), ToolCall(0, "a", "get_weather"), Arguments(0, '{"city": "Pune"}')]
    assert events(name, tokenizer, ["One moment.", "\n" + CALLS[name]]) == expected


@each_family
def test_speech_alone(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    assert events(name, tokenizer, ["Hello ", "there.\n"]) == [Text("Hello"), Text(" there."), Text("\n")]


@each_family
def test_a_cut_call_is_neither_spoken_nor_made(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    end = CALLS[name].index("Pune") + 2
    assert events(name, tokenizer, [CALLS[name][:end]]) == []


@each_family
def test_a_malformed_call_is_not_spoken(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    broken = CALLS[name].replace("get_weather", "").replace('"', "")
    spoken = [event for event in events(name, tokenizer, ["Hm. " + broken]) if isinstance(event, Text)]
    assert spoken == [Text("Hm.")]


def test_which_keep_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert VllmParser("kimi_k2", tokenizer).needs_special_tokens
    assert not VllmParser("phi4_mini_json", tokenizer).needs_special_tokens


def test_names(tokenizer: PreTrainedTokenizerFast) -> None:
    assert set(CALLS) <= set(parser_names())
    assert set(MARKERS.values()) <= set(parser_names())
    with pytest.raises(KeyError):
        VllmParser("nobody", tokenizer)


def test_a_tokenizer_without_the_tokens_is_refused_at_once() -> None:
    alphabet = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"a": 0}, merges=[])))
    with pytest.raises(RuntimeError):
        VllmParser("jamba", alphabet)
