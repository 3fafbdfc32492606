"""What a fuzzer's bytes mean to a parser, and what must hold of whatever comes out."""

import json
from itertools import pairwise

from server.parsing import FAMILIES
from tests.parsing.case_files import load_all, parse

FAMILY_NAMES = sorted(FAMILIES)
MARKERS = ("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<｜tool▁calls▁begin｜>", "<|channel|>")


def seeds() -> list[bytes]:
    """The cases of the tests."""
    return [bytes([FAMILY_NAMES.index(case.family), 3]) + case.text.encode() for case in load_all()]


def check(data: bytes) -> None:
    """data: a byte for the family, one for the length of the pieces, and the text.

    Raises:
        AssertionError: pieces and whole differ, a family's own marker would be spoken, a complete call is not JSON.
    """
    if len(data) < 2:
        return
    family, length = FAMILY_NAMES[data[0] % len(FAMILY_NAMES)], data[1] % 16 + 1
    text = data[2:].decode(errors="ignore")
    cuts = [*range(0, len(text), length), len(text)]
    whole = parse(text, family=family)
    pieces = parse(text, [text[start:end] for start, end in pairwise(cuts)], family)
    assert pieces == whole, (family, text)
    own = FAMILIES[family].grammar
    if own is not None and own.trigger in MARKERS:
        assert own.trigger not in whole.content, (family, text)
    broken = sum(not _is_object(arguments) for _, arguments in whole.calls)
    assert broken <= whole.failures + whole.cut, (family, text)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (json.JSONDecodeError, RecursionError):
        return False
