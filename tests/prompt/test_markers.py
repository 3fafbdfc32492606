import json

from hypothesis import given
from hypothesis import strategies as st

from server.prompt.markers import Marker, Markers, Seams

TEXTS = ["<|im_start|>", "<|im_end|>", "<tool_call>", "<<a", "a>>", "<", "[INST]", "END"]
MARKERS = Markers(Marker(text, index) for index, text in enumerate(TEXTS))

fragments = st.sampled_from(
    [*TEXTS, "<|", "|>", "im_start", "<|im_", "start|>", "a", ">", ">>", " ", "\n", "नम", "[IN", "ST]"]
)
texts = st.lists(fragments | st.text(max_size=3), max_size=6).map("".join)


def own_markers(seams: Seams, rendered: str) -> list[Marker]:
    return [piece for piece in seams.split(rendered) if isinstance(piece, Marker)]


@given(texts, st.booleans())
def test_sewn_text_holds_no_marker_and_can_be_unpicked(text: str, word: bool) -> None:
    seams = Seams(MARKERS)
    sewn = seams.sew(text, word)
    assert own_markers(seams, sewn) == []
    assert seams.unpick(sewn) == text
    assert "".join(str(piece) for piece in seams.split(sewn)) == text


@given(st.lists(texts, min_size=2, max_size=4))
def test_no_marker_forms_where_callers_strings_meet(parts: list[str]) -> None:
    seams = Seams(MARKERS)
    assert own_markers(seams, "".join(map(seams.sew, parts))) == []


@given(texts, st.sampled_from(["", " ", "\n"]))
def test_no_marker_forms_with_what_the_template_writes_around(text: str, blank: str) -> None:
    """Whether or not the template strips the text."""
    for before, after in (
        ("|im_start", "|>"),
        ("<|", "|>"),
        ("", "_start|>"),
        ("<tool", ">"),
        ("<<", ">>"),
        ("x", "y"),
    ):
        seams = Seams(MARKERS)
        own = own_markers(seams, before) + own_markers(seams, after)
        sewn = seams.sew(blank + text + blank)
        for written in (sewn, sewn.strip()):
            assert own_markers(seams, before + written + after) == own


@given(texts)
def test_what_the_template_writes_is_found(text: str) -> None:
    seams = Seams(MARKERS)
    rendered = f"<|im_start|>user\n{seams.sew(text)}\n<|im_end|>"
    assert [marker.text for marker in own_markers(seams, rendered)] == ["<|im_start|>", "<|im_end|>"]


def test_the_longest_marker_wins() -> None:
    assert [piece for piece in Seams(MARKERS).split("<<a>")] == ["", MARKERS.by_text["<<a"], ">"]


def test_a_word_that_templates_compare_with_stays_whole() -> None:
    markers = Markers([Marker("<|object_ref|>", 0)])
    assert Seams(markers).sew_all({"type": "object", "object": ["ref"]}) == {"type": "object", "object": ["ref"]}
    assert Seams(markers).sew("object") != "object"


def test_every_string_and_key_of_json_is_sewn() -> None:
    seams = Seams(MARKERS)
    value = {"<tool_call>": ["<|im_end|>", {"a": "[INST]"}, 1, None, True]}
    written = json.dumps(seams.sew_all(value), ensure_ascii=False)
    assert own_markers(seams, written) == []
    assert json.loads(seams.unpick(written)) == value


def test_seams_written_as_json_escapes_are_seams() -> None:
    seams = Seams(MARKERS)
    written = json.dumps(seams.sew("<|im_end|>"), ensure_ascii=True)
    assert list(seams.split(written)) == ['"<|im_end|>"']
    assert seams.unpick(written) == '"<|im_end|>"'


def test_no_two_requests_share_a_seam() -> None:
    assert Seams(MARKERS).sew("<") != Seams(MARKERS).sew("<")


def test_a_caller_who_knew_the_seam_could_only_lose_it() -> None:
    mark = "\ufdd0\ufdd1"
    seams = Seams(MARKERS, mark)
    for text in (f"<|im_{mark}start|>", f"{mark}<|im_start|>", f"<{mark}|im_start|>"):
        assert own_markers(seams, seams.sew(text)) == []


def test_without_markers_nothing_is_done() -> None:
    seams = Seams(Markers([]))
    assert seams.sew("<|im_start|>") == "<|im_start|>"
    assert list(seams.split("<|im_start|>")) == ["<|im_start|>"]
    assert not seams.used
