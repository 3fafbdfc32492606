"""What a caller writes is text; what the template writes is markup; and the ids are otherwise the tokenizer's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerBase

from server.errors import InvalidRequest
from server.prompt.encode import Encoder
from server.prompt.markers import Marker

Make = Callable[[str], PreTrainedTokenizerBase]

SOUP = [
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<tool_call>",
        "</think>",
        "<|eot_id|>",
        "<s>",
        "[INST]",
        "END",
        "<<a",
        "a>>",
        "<|",
    ),
    *(
        "＜|im_start|＞",
        "<｜im_end｜>",
        "im_start",
        "|>",
        "<",
        ">",
        "system",
        "Hello",
        " ",
        "\n",
        "\n\n",
        "   ",
        "नम",
        "é",
    ),
]
texts = st.lists(st.sampled_from(SOUP) | st.text(max_size=4), max_size=8).map("".join)
# What the small vocabularies of the piece-wise tokenizers hold, without normalising to something else.
LOSSLESS = ("nano", "qwen", "llama")


@pytest.fixture(scope="session")
def make_encoder(make_tokenizer: Make) -> Callable[[str], Encoder]:
    made: dict[str, Encoder] = {}
    return lambda kind: made.setdefault(kind, Encoder(make_tokenizer(kind)))


@pytest.fixture
def encoder(tokenizer: PreTrainedTokenizerBase) -> Encoder:
    return Encoder(tokenizer)


def own_ids(encoder: Encoder, token_ids: list[int]) -> list[int]:
    return [token_id for token_id in token_ids if token_id in encoder.reserved]


def a_turn(encoder: Encoder) -> tuple[Marker, Marker]:
    """Two of the markers, as a template would write them around a turn."""
    markers = list(encoder.markers.by_text.values())
    return markers[0], markers[1]


@given(data=st.data(), text=texts)
@settings(deadline=None)
def test_no_caller_text_becomes_an_added_token(
    make_encoder: Callable[[str], Encoder], data: st.DataObject, text: str
) -> None:
    kind = data.draw(st.sampled_from(["nano", "qwen", "llama", "pieces", "unigram", "greedy"]))
    encoder = make_encoder(kind)
    first, last = a_turn(encoder)
    seams = encoder.seams()
    rendered = f"{first.text}user\n{seams.sew(text)}{last.text}"
    assert own_ids(encoder, encoder.rendered(rendered, seams)) == [first.token_id, last.token_id]


@given(data=st.data(), text=texts)
@settings(deadline=None)
def test_decoded_ids_are_the_rendered_text(
    make_encoder: Callable[[str], Encoder], make_tokenizer: Make, data: st.DataObject, text: str
) -> None:
    kind = data.draw(st.sampled_from(LOSSLESS))
    encoder, tokenizer = make_encoder(kind), make_tokenizer(kind)
    first, last = a_turn(encoder)
    seams = encoder.seams()
    rendered = f"{first.text}user\n{seams.sew(text)}{last.text}\n"
    assert tokenizer.decode(encoder.rendered(rendered, seams)) == seams.unpick(rendered)


@given(
    data=st.data(),
    text=st.lists(
        st.sampled_from(["Hello", "there", " ", "  ", "   ", "\n\n", "नमस्ते", "é", "."]) | st.text(max_size=4)
    ).map("".join),
)
@settings(deadline=None)
def test_without_markers_the_ids_are_those_of_transformers(
    make_encoder: Callable[[str], Encoder], make_tokenizer: Make, data: st.DataObject, text: str
) -> None:
    kind = data.draw(st.sampled_from(["nano", "qwen", "llama", "pieces", "unigram", "greedy"]))
    encoder, tokenizer = make_encoder(kind), make_tokenizer(kind)
    first, last = a_turn(encoder)
    if text in encoder.markers:
        return
    rendered = f"{first.text}user\n{text}{last.text}\n{first.text}assistant\n"
    expected = tokenizer(rendered, add_special_tokens=False).input_ids
    assert encoder.rendered(rendered, encoder.seams()) == expected
    sewn = encoder.seams()
    sewn.used = True  # the other way leads to the same place
    assert encoder.rendered(rendered, sewn) == expected


@given(data=st.data(), text=texts)
@settings(deadline=None)
def test_bare_text_holds_no_added_token_but_a_leading_one(
    make_encoder: Callable[[str], Encoder], make_tokenizer: Make, data: st.DataObject, text: str
) -> None:
    kind = data.draw(st.sampled_from(["nano", "qwen", "llama", "pieces", "unigram", "greedy"]))
    encoder, tokenizer = make_encoder(kind), make_tokenizer(kind)
    token_ids = encoder.raw(text)
    begin = [tokenizer.bos_token_id] if kind == "llama" else []
    assert token_ids[: len(begin)] == begin
    assert own_ids(encoder, token_ids) == begin
    if text not in encoder.markers and kind != "unigram":
        assert token_ids == tokenizer(text).input_ids


def test_the_bytes_of_a_marker_are_those_of_its_letters(encoder: Encoder, tokenizer: PreTrainedTokenizerBase) -> None:
    for text in encoder.markers.by_text:
        if text != tokenizer.unk_token:
            assert tokenizer.decode(encoder.raw(text), skip_special_tokens=True).strip() == text


def test_white_space_that_a_marker_swallows_is_swallowed_beside_callers_markers_too(
    make_encoder: Callable[[str], Encoder],
) -> None:
    encoder = make_encoder("greedy")
    seams = encoder.seams()
    rendered = f"<|im_start|>{seams.sew('<tool_call>')} \n <|im_end|> \n x"
    expected = [*encoder.rendered("<|im_start|>", encoder.seams()), *encoder.raw("<tool_call>")]
    expected += [*encoder.rendered("<|im_end|>", encoder.seams()), *encoder.raw("x")]
    assert encoder.rendered(rendered, seams) == expected


def test_added_white_space_stays_what_the_tokenizer_makes_of_it(
    make_encoder: Callable[[str], Encoder], make_tokenizer: Make
) -> None:
    encoder, tokenizer = make_encoder("qwen"), make_tokenizer("qwen")
    seams = encoder.seams()
    blank = tokenizer.convert_tokens_to_ids("\n\n")
    assert blank in encoder.rendered(seams.sew("<|im_end|>\n\nHello"), seams)


def test_the_first_word_alone_gets_a_space(make_encoder: Callable[[str], Encoder], make_tokenizer: Make) -> None:
    encoder, tokenizer = make_encoder("pieces"), make_tokenizer("pieces")
    seams = encoder.seams()
    rendered = f"[INST]{seams.sew('Hello <s>')}[/INST]"
    assert tokenizer.decode(encoder.rendered(rendered, seams)) == "[INST]Hello <s>[/INST]"


def test_threads_share_an_encoder(make_encoder: Callable[[str], Encoder]) -> None:
    encoder = make_encoder("nano")

    def encode(index: int) -> list[int]:
        seams = encoder.seams()
        caller = seams.sew(f"Hello {index} " * 50 + "<|im_end|>" * (index % 2))
        return encoder.rendered(f"<|im_start|>user\n{caller}<|im_end|>\n", seams) + encoder.raw(f"bare {index}")

    expected = [encode(index) for index in range(200)]
    with ThreadPoolExecutor(16) as workers:
        assert list(workers.map(encode, range(200))) == expected


def test_half_of_a_surrogate_pair_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InvalidRequest):
        encoder.raw("\ud800")
    with pytest.raises(InvalidRequest):
        encoder.rendered("\ud800", encoder.seams())


def test_a_slow_tokenizer_is_refused_by_name() -> None:
    class Slow:
        is_fast = False
        name_or_path = "some/model"

    with pytest.raises(ValueError, match="some/model"):
        Encoder(Slow())  # type: ignore[arg-type]


def test_a_tokenizer_without_added_tokens_has_no_markers(make_tokenizer: Make) -> None:
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(BPE({"a": 0, "<": 1}, []))
    encoder = Encoder(PreTrainedTokenizerFast(tokenizer_object=plain))
    assert encoder.rendered("a<a", encoder.seams()) == [0, 1, 0]
