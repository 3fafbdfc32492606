"""The grammar of one spoken sentence, bounded in words and in characters.

Both bounds are held by a line of states that is as long as the longest sentence, so that each token is decided when the
grammar is compiled and none while the model speaks. Words that must be there come first and have a fixed part of the
line each, or more if they are long. The rest is cut into blocks, one for each word that may follow: a word begins with
a block and takes up whole blocks, so there are no more words than blocks and no more characters than the line has. What
it costs is room: a short word takes up as much as one that fills its block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from server.prompt.filler.scripts import Script

# Letters at most of a word before the last one that must be there: of most, and of one that takes from the rest.
_LEADING, _LONG = 8, 18
_NARROWEST = 3  # characters of a block
_IN_WORDS = "0-9'’"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a sentence: words at least and at most, characters at most, the stop included."""

    min_words: int
    max_words: int
    max_characters: int


@lru_cache(maxsize=256)
def sentence_grammar(script: Script, bounds: Bounds) -> str:
    """EBNF in xgrammar's dialect, one rule a line, the first one `filler`, the others `filler_…`."""
    line = _Line(script)
    rules = line.unspaced(bounds) if script.word else line.spaced(bounds)
    return "\n".join(f"{name} ::= {body}" for name, body in rules)


class _Line:
    """The rules of one script. Each but the first is what may follow the first letter of a word."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._comma = f'"{script.comma}"'
        self._letter = f"[{script.letters}]"
        self._start = f"[{script.letters}{_IN_WORDS}]"
        self._inner = f"[{script.letters}{script.marks}{_IN_WORDS}-]"
        self._stop = f"[{script.stops}]"

    def spaced(self, bounds: Bounds) -> Iterator[tuple[str, str]]:
        leading = bounds.min_words - 1
        letters = min(_LEADING, bounds.max_characters // bounds.min_words - 2)
        rest = bounds.max_characters - 1 - leading * (letters + 2)
        widths = _widths(rest, min(bounds.max_words - leading, rest // _NARROWEST))
        starts = _starts(widths, leading, _LONG - letters)
        yield "filler", f"{self._letter} {_lead(0, 0, leading, starts)}"
        for index in range(leading):
            for long in range(min(index + 1, len(starts))):
                after = [_lead(index + 1, long, leading, starts)] * letters
                if long + 1 < len(starts):
                    after += [_lead(index + 1, long + 1, leading, starts)] * (_LONG - letters)
                ways = [[self._next(following, 1), self._next(following, 2)] for following in after]
                yield _lead(index, long, leading, starts), self._nested(ways)
        for index, width in enumerate(widths):
            yield f"filler_block_{index}", self._block(index, width, len(widths))

    def _block(self, index: int, width: int, blocks: int) -> str:
        """The letters of a block; a word that is longer goes on in the next one."""
        ways = []
        for written in range(1, width + 1):
            skipped = {space: index + 1 + (written + space > width) for space in (1, 2)}
            ways.append([self._next(f"filler_block_{to}", space) for space, to in skipped.items() if to < blocks])
            ways[-1].append(self._stop)
        if index + 1 < blocks:
            ways[-1].append(f"{self._inner} filler_block_{index + 1}")
        return self._nested(ways)

    def _next(self, following: str, space: int) -> str:
        """Another word. space: characters between them."""
        return f"{self._comma if space == 2 else _SPACE} {self._start} {following}"

    def unspaced(self, bounds: Bounds) -> Iterator[tuple[str, str]]:
        """Where words are not told apart, characters alone are counted."""
        least = bounds.min_words * self._script.word // 2
        most = min(bounds.max_characters, bounds.max_words * self._script.word) - 1
        spaced = len(self._script.comma) + 1
        yield "filler", f"{self._letter} filler_1"
        for written in range(1, most + 1):
            ways = [self._stop] if written >= least else []
            ways += [f"{self._inner} filler_{written + 1}"] if written < most else []
            ways += [f"{self._comma} {self._letter} filler_{written + spaced}"] if written + spaced <= most else []
            yield f"filler_{written}", " | ".join(ways)

    def _nested(self, ways: list[list[str]]) -> str:
        """ways: of going on, after the first letter, the second one, …"""
        body = " | ".join(ways[-1])
        for way in reversed(ways[:-1]):
            body = " | ".join([*way, f"{self._inner} ({body})"])
        return body


_SPACE = '" "'


def _lead(index: int, long: int, leading: int, starts: list[int]) -> str:
    """The rule of a word that must be there, `long` of those before it being long; the last one begins the blocks."""
    return f"filler_lead_{index}_{long}" if index < leading else f"filler_block_{starts[long]}"


def _starts(widths: list[int], leading: int, more: int) -> list[int]:
    """In which block the rest begins, by the number of long words before it. more: characters that each takes."""
    taken = [sum(widths[:index]) for index in range(len(widths))]
    starts = [
        next((index for index, sum_ in enumerate(taken) if sum_ >= long * more), None) for long in range(leading + 1)
    ]
    return [start for start in starts if start is not None]


def _widths(characters: int, blocks: int) -> list[int]:
    """Characters cut into blocks of the same width, or one less."""
    edges = [index * characters // blocks for index in range(blocks + 1)]
    return [end - start for start, end in pairwise(edges)]
