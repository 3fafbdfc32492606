"""Keeping a caller's text apart from the template's own markup.

A marker is the text of an added token (`<|im_start|>`, `<tool_call>`, …). Written by the template it becomes its token;
inside anything that a caller sent it is plain text. Before rendering, a seam goes into the caller's strings wherever a
marker begins, or could form together with what the template puts beside them; text with a seam in it is no marker.
"""

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

# What Unicode reserves for use inside a program: without case, no word characters, nothing to strip or to escape.
_NONCHARACTERS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
_SEAM_LENGTH = 24  # 32**24 = 2**120 seams: no caller guesses that of his request


@dataclass(frozen=True, slots=True)
class Marker:
    """An added token. lstrip, rstrip: it swallows white space on that side. single_word: not inside of a word."""

    text: str
    token_id: int
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False

    @property
    def pattern(self) -> str:
        literal = re.escape(self.text)
        return rf"(?<!\w){literal}(?!\w)" if self.single_word else literal


class Markers:
    """All markers of one tokenizer. Immutable."""

    def __init__(self, markers: Iterable[Marker]) -> None:
        longest_first = sorted(markers, key=lambda marker: -len(marker.text))
        self.by_text: Mapping[str, Marker] = {marker.text: marker for marker in longest_first}
        self.token_ids = frozenset(marker.token_id for marker in longest_first)
        self.pattern = re.compile("|".join(marker.pattern for marker in longest_first) or r"(?!)")
        self._any = re.compile("|".join(map(re.escape, self.by_text)) or r"(?!)")
        self._longest = len(longest_first[0].text) if longest_first else 0
        self._beginnings = {text[:end] for text in self.by_text for end in range(1, len(text))}
        self._endings = {text[start:] for text in self.by_text for start in range(1, len(text))}
        self._firsts = {text[0] for text in self.by_text}
        self._lasts = {text[-1] for text in self.by_text}
        self._joined = "\n".join(self.by_text)

    def __contains__(self, text: str) -> bool:
        """Whether any marker occurs in the text."""
        return self._any.search(text) is not None

    def seams(self, text: str, word: bool = False) -> list[int]:
        """Where the text has to be cut so that no marker is in it, nor forms across its ends; ascending.

        word: it may be one that templates compare with, like the `object` of a schema. It is not cut for the sole
        reason that it is the middle of a marker, since a cut word would no longer be equal to itself.
        """
        cuts = {*self._starts(text), *self._loose_ends(text)}
        return sorted(cuts if word else cuts | set(self._middle(text)))

    def _starts(self, text: str) -> Iterator[int]:
        """Overlapping ones too: `<<a>` may hold both `<<a` and `<a>`."""
        found = self._any.search(text)
        while found:
            yield found.start()
            found = self._any.search(text, found.start() + 1)

    def _loose_ends(self, text: str) -> Iterator[int]:
        """Templates strip, so white space at the ends does not keep the rest from touching what is beside it."""
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        size = self._longest
        if self._firsts.isdisjoint(text[max(start, end - size) : end]) and self._lasts.isdisjoint(
            text[start : start + size]
        ):
            return  # nearly always
        for size in range(1, min(self._longest, end - start + 1)):
            if text[end - size : end] in self._beginnings:
                yield end - size
            if text[start : start + size] in self._endings:
                yield start

    def _middle(self, text: str) -> Iterator[int]:
        """A template may write `<|` before a name, and `|>` after it."""
        stripped = text.strip()
        if 0 < len(stripped) < self._longest and stripped in self._joined:
            yield text.index(stripped)


class Seams:
    """The seams of one request."""

    def __init__(self, markers: Markers, mark: str | None = None) -> None:
        self.markers = markers
        self.used = False
        self._mark = mark or "".join(_NONCHARACTERS[byte % 32] for byte in secrets.token_bytes(_SEAM_LENGTH))
        self._escaped = json.dumps(self._mark)[1:-1]  # what a template makes of it that writes JSON in ASCII

    def sew(self, text: str, word: bool = False) -> str:
        """The caller's text with a seam at every place that `Markers.seams` names."""
        cuts = self.markers.seams(text, word)
        if not cuts:
            return text
        self.used = True
        return self._mark.join(text[start:end] for start, end in pairwise([0, *cuts, len(text)]))

    def sew_all(self, value: object) -> object:
        """The same for every string and every key of a JSON value."""
        match value:
            case str():
                return self.sew(value, word=True)
            case Mapping():
                return {self.sew(key, word=True): self.sew_all(member) for key, member in value.items()}
            case list() | tuple():
                return [self.sew_all(member) for member in value]
            case _:
                return value

    def unpick(self, text: str) -> str:
        """The text without its seams."""
        return text.replace(self._mark, "").replace(self._escaped, "") if self.used else text

    def split(self, rendered: str) -> Iterator[str | Marker]:
        """Plain stretches, free of seams, and the template's own markers, alternating; stretches may be empty."""
        text, start = rendered.replace(self._escaped, self._mark), 0
        for found in self._own(text):
            yield self.unpick(text[start : found.start()])
            yield self.markers.by_text[found[0]]
            start = found.end()
        yield self.unpick(text[start:])

    def _own(self, text: str) -> Iterator[re.Match[str]]:
        found = self.markers.pattern.search(text)
        while found:
            behind_a_seam = text.endswith(self._mark, 0, found.start())
            if not behind_a_seam:
                yield found
            found = self.markers.pattern.search(text, found.start() + 1 if behind_a_seam else found.end())
