"""Small tokenizers of every kind, made here, and templates in the manner of the great families."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from server.nano import model_path
from server.prompt.template import ChatTemplate

TEMPLATES = Path(__file__).parent / "templates"
CORPUS = ["Hello there, how are you today?", "Let me check the weather in Pune.", "नमस्ते, आप कैसे हैं?", "a b  c\n\nd"] * 4

QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKUP = ["<tool_call>", "</tool_call>", "<think>", "</think>", "☎", "<<a", "a>>"]
LLAMA = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


def wrapped(tokenizer: Tokenizer, **special: str) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special)


def byte_level(special: list[str], markup: list[AddedToken | str]) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    tokenizer.add_tokens([AddedToken(text, normalized=False) if isinstance(text, str) else text for text in markup])
    return tokenizer


def qwen() -> PreTrainedTokenizerBase:
    """Markers that overlap, that are one character long, and white space as added tokens."""
    return wrapped(byte_level(QWEN, ["\n\n", "   ", *MARKUP]), eos_token="<|im_end|>")


def llama() -> PreTrainedTokenizerBase:
    """Puts a BOS before bare text."""
    tokenizer = byte_level(LLAMA, [])
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return wrapped(tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def pieces() -> PreTrainedTokenizerBase:
    """Sentence pieces with bytes to fall back on; a space is put before the first word; `<s>` is in the vocabulary."""
    characters = ["▁", *"Helothrwaeyuis,?.:<>|_/[]INST-"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *dict.fromkeys(characters)]
    merges = [("▁", "H"), ("l", "o"), ("▁H", "e"), ("<", "s"), ("<s", ">")]
    names += [left + right for left, right in merges if left + right not in names]
    model = BPE({name: index for index, name in enumerate(names)}, merges, byte_fallback=True, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in ("<s>", "</s>", "[INST]", "[/INST]")]
    )
    return wrapped(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def unigram() -> PreTrainedTokenizerBase:
    """Full-width letters are made plain before the markers are looked for, and the model itself would read markers."""
    names = ["<unk>", "<|im_start|>", "<|im_end|>", *dict.fromkeys("▁Helothrwaeyuis,?.:<>|_/mndfk\n")]
    tokenizer = Tokenizer(Unigram([(name, -1.0 * (index > 2)) for index, name in enumerate(names)], unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=True) for text in ("<|im_start|>", "<|im_end|>")]
    )
    return wrapped(tokenizer, eos_token="<|im_end|>", unk_token="<unk>")


def greedy() -> PreTrainedTokenizerBase:
    """Markers that swallow white space, and one that does not count inside of a word."""
    greedy = AddedToken("<|im_end|>", rstrip=True, lstrip=True, normalized=False, special=True)
    whole = AddedToken("END", single_word=True, normalized=False)
    return wrapped(byte_level(["<|im_start|>"], [greedy, whole, "<tool_call>", "</tool_call>"]), eos_token="<|im_end|>")


def nano() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(model_path()))


KINDS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "nano": nano,
    "qwen": qwen,
    "llama": llama,
    "pieces": pieces,
    "unigram": unigram,
    "greedy": greedy,
}


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[[str], PreTrainedTokenizerBase]:
    made: dict[str, PreTrainedTokenizerBase] = {}
    return lambda kind: made.setdefault(kind, KINDS[kind]())


@pytest.fixture(scope="session", params=KINDS)
def tokenizer(request: pytest.FixtureRequest, make_tokenizer: Callable[[str], PreTrainedTokenizerBase]) -> object:
    return make_tokenizer(request.param)


@pytest.fixture(scope="session")
def make_template(make_tokenizer: Callable[[str], PreTrainedTokenizerBase]) -> Callable[[str, str], ChatTemplate]:
    def make(kind: str, name: str) -> ChatTemplate:
        source = None if name == "own" else (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
        return ChatTemplate(make_tokenizer(kind), source)

    return make
