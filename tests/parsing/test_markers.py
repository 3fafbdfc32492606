import pytest

from server.parsing.markers import Markers

TAGS = Markers(["<a>", "</a>", "{"])


@pytest.mark.parametrize(
    ("text", "size"), [("x<", 1), ("x</", 2), ("x<<a", 2), ("<a>", 0), ("x", 0), ("", 0), ("<b", 0), ("</a> ", 0)]
)
def test_pending(text: str, size: int) -> None:
    assert TAGS.pending(text, 0) == size


def test_pending_looks_at_nothing_before_the_start() -> None:
    assert TAGS.pending("x</", 2) == 0


def test_the_first_marker_is_found() -> None:
    found = TAGS.search("<a> x </a> {", 1)
    assert found is not None and (found[0], found.start()) == ("</a>", 6)


def test_a_marker_that_begins_another_one_is_refused() -> None:
    with pytest.raises(ValueError, match="<a"):
        Markers(["<a", "<ab>"])
