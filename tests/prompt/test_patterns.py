import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.prompt.patterns import PatternError, whole_pattern

MEANT = {
    "^a$": (["a"], ["xa", "ax", ""]),
    "b": (["b", "abc"], ["", "ac"]),
    "^a": (["a", "ab"], ["ba"]),
    "a$": (["a", "ba"], ["ab"]),
    "^a|b$": (["a", "ax", "b", "xb"], ["xa", "bx"]),
    "^(a|b)$": (["a", "b"], ["ab"]),
    "^$|^[0-9]+$": (["", "12"], ["a"]),
    r"^[$|]$": (["$", "|"], ["a"]),
    r"a\$": (["a$", "xa$x"], ["a"]),
    r"^\d{3}-\d{4}$": (["123-4567"], ["1234567"]),
    r"^(\d{3}[- ]?){2}\d{4}$": (["123-456-7890", "1234567890"], ["123"]),
    r"^\+?[1-9]\d{1,14}$": (["+911234567890"], ["0"]),
    r"^[\w.+-]+@[\w-]+\.[\w.]+$": (["a.b@c.de"], ["a@b"]),
    "^[😀-😂]é$": (["😁é"], ["😁e"]),
}


@pytest.mark.parametrize("pattern", MEANT)
def test_a_pattern_of_the_whole_string_means_what_the_search_meant(pattern: str) -> None:
    accepted, refused = MEANT[pattern]
    whole = whole_pattern(pattern)
    assert whole.startswith("^") and whole.endswith("$")
    for text in [*accepted, *refused]:
        assert bool(re.fullmatch(whole[1:-1], text)) == bool(re.search(pattern, text)) == (text in accepted)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=x)a", "look-around"),
        ("(?!x)a", "look-around"),
        ("(?<=x)a", "look-around"),
        (r"(a)\1", "back-references"),
        (r"a\b", "anchors"),
        ("a^b", "anchors"),
        ("(^a|b)", "anchors"),
        ("(?i)a", "cannot be read"),
        ("(?i:a)", "flags"),
        ("(?P<x>a)", "syntax"),
        ("(?<x>a)", "cannot be read"),
        (r"\p{L}", "cannot be read"),
        ("a++", "possessive"),
        ("(?>a)", "atomic"),
        ("[", "cannot be read"),
        ("a{2,1}", "cannot be read"),
        ("a{,3}", "syntax"),
        ("[]a]", "syntax"),
        ('^"$', "JSON escapes"),
        (r"^\\$", "JSON escapes"),
        (r"^a\nb$", "JSON escapes"),
        (r'^["\\]$', "JSON escapes"),
        ("x" * 513, "513 characters"),
        ('[^"\\\r\n]', "control characters"),
        ("a{401}", "400"),
        ("(ab){201}", "400"),
        ("^([a-z]{1,11}){0,11}$", "within repetitions"),
        ("^([a-z]{0,3}){0,3}$", "within repetitions"),
        ("^(((a{1,5}b){1,5}c){1,5}d)$", "within repetitions"),
    ],
)
def test_what_would_be_misread_or_take_seconds_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        whole_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "^[a-z]{0,400}$", '^[a"]$', '^(a|")$', '^a("b)?$', "^([a-z]{1,10} ){1,10}$", "^(?:[0-9a-f]{2}){32}$"],
)
def test_what_is_compiled_quickly_is_taken(pattern: str) -> None:
    whole_pattern(pattern)


@pytest.mark.filterwarnings("ignore:Possible (nested set|set difference):FutureWarning")
@given(st.text(alphabet='ab^$|()[]{}?*+.,\\d"12', max_size=12))
def test_no_pattern_raises_anything_else(pattern: str) -> None:
    with suppress(PatternError):
        whole_pattern(pattern)
