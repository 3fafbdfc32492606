"""What is remembered of a conversation changes nothing but the time that its next turn takes."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from server.prompt.encode import Encoder
from server.prompt.remembered import Remembered
from server.prompt.render import Renderer
from server.prompt.template import ChatTemplate
from server.protocol import Message

WORDS = ["Hello", " there", "  ", "\n\n", "नमस्ते", "é", ".", "<|im_start|>", "<tool_call>", "[INST]", "<|", "a>>"]
FAMILIES = [("nano", "own"), ("llama", "llama"), ("pieces", "alternating"), ("qwen", "text_arguments")]

contents = st.lists(st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=6)
exchanges = st.lists(contents.map("".join), min_size=1, max_size=9)


@given(data=st.data(), texts=exchanges, cut=st.integers(0, 8))
@settings(deadline=None)
def test_turn_by_turn_the_ids_are_those_of_the_whole(
    make_tokenizer: Callable[[str], PreTrainedTokenizerBase],
    make_template: Callable[[str, str], ChatTemplate],
    encoders: dict[str, tuple[Encoder, Encoder]],
    renderers: dict[tuple[str, str], Renderer],
    data: st.DataObject,
    texts: list[str],
    cut: int,
) -> None:
    kind, name = data.draw(st.sampled_from(FAMILIES))
    tokenizer = make_tokenizer(kind)
    if kind not in encoders:
        encoders[kind] = Encoder(tokenizer), Encoder(tokenizer, remember=0)
        renderers[kind, name] = Renderer(make_template(kind, name))
    encoder, forgetful = encoders[kind]  # the first remembers earlier examples, too
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    for length in sorted({min(cut, len(texts) - 1) + 1, len(texts)}):
        seams = encoder.seams()
        text = renderers[kind, name].render(messages[:length], (), seams)
        ids = encoder.rendered(text, seams, owner="somebody")
        assert ids == forgetful.rendered(text, seams)
        if not seams.used:
            assert ids == tokenizer(text, add_special_tokens=False).input_ids


@pytest.fixture(scope="module")
def encoders() -> dict[str, tuple[Encoder, Encoder]]:
    return {}


@pytest.fixture(scope="module")
def renderers() -> dict[tuple[str, str], Renderer]:
    return {}


def test_a_text_is_read_once_for_its_owner_and_place() -> None:
    remembered, read = Remembered(limit=10**6), []

    def ids(text: str) -> list[int]:
        read.append(text)
        return [len(text)]

    for owner, place in (("a", 0), ("a", 0), ("b", 0), (None, 0), ("a", 1), ("a", 0)):
        assert remembered.get(owner, "text", place, ids) == [4]
    assert len(read) == 4


def test_the_least_recently_used_are_forgotten_within_the_limit() -> None:
    remembered, read = Remembered(limit=3000), []

    def ids(text: str) -> list[int]:
        read.append(text)
        return [0] * 10

    for name in ("a", "b", "c"):
        remembered.get(None, name * 500, 0, ids)  # about 1,200 bytes each: two have room
    remembered.get(None, "c" * 500, 0, ids)
    assert len(read) == 3
    remembered.get(None, "a" * 500, 0, ids)
    assert len(read) == 4
    assert remembered.get(None, "d" * 10_000, 0, ids) == [0] * 10  # has no room at all
    remembered.get(None, "d" * 10_000, 0, ids)
    assert len(read) == 6
