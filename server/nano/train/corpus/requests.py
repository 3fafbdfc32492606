"""Requests put together from parts, so that there are far more ways to ask than could be learned by heart.

"Hi, could you book a table for {guests} at {time}? It should be {day}. Thanks." has an opener, a frame, a thing to do,
words for each slot within the sentence or after it, and a closer. A part is known to training; a whole that is held out
has never been seen there.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import cast

from server.nano.train.corpus.actions import SLOT, Action
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.values import kinds

OPENED, CLOSED, TOLD_AFTER, SPOKEN_PLAINLY = 0.25, 0.15, 0.25, 0.12


@cache
def frames() -> dict[str, dict[str, list[str]]]:
    """The tables of frames.toml by language."""
    table = tomllib.loads((Path(__file__).parent / "frames.toml").read_text(encoding="utf-8"))
    return cast(dict[str, dict[str, list[str]]], table)


def composed_request(source: Source, action: Action, language: str, slots: set[str]) -> str | None:
    """A request that names exactly `slots`, each as {slot}; None where no part of the action fits them."""
    wording = action.wording[language]
    fitting = [(kind, core) for kind in ("do", "what") for core in getattr(wording, kind) if _slots(core) <= slots]
    if not fitting:
        return None
    while True:
        kind, core = source.pick(fitting)
        text = _compose(source, action, language, kind, core, sorted(slots - _slots(core)))
        if source.owns(text):
            return text


def framed(source: Source, table: str, language: str, core: str) -> str:
    """`core` in one of the frames for it, as a sentence."""
    frame = source.pick(frames()[language][table])
    kind = "what" if table == "what" else "do"
    return frame.replace(f"{{{kind}}}", core).replace(f"{{{kind.capitalize()}}}", core[:1].upper() + core[1:])


def opener(source: Source, language: str) -> str:
    """How some requests begin, or nothing."""
    return source.pick(frames()[language]["opener"]) if source.chance(OPENED) else ""


def _compose(source: Source, action: Action, language: str, kind: str, core: str, rest: list[str]) -> str:
    source.rng.shuffle(rest)
    inline: list[str] = []
    told: list[str] = []
    for slot in rest:
        words = kinds()[action.slots[slot]]
        after = source.chance(TOLD_AFTER)
        phrase = source.pick((words.told if after else words.inline)[language]).replace("{}", f"{{{slot}}}")
        (told if after else inline).append(phrase)
    body = " ".join([*inline, core] if language == "hi" else [core, *inline])
    text = " ".join([framed(source, kind, language, body), *map(_sentence, told)])
    begin = opener(source, language)
    closer = source.pick(frames()[language]["closer"]) if source.chance(CLOSED) else ""
    return _plainly(source, begin + text + closer)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plainly(source: Source, text: str) -> str:
    """At times as a speech recogniser writes: no capital at the beginning, nothing at the end."""
    return text[:1].lower() + text[1:].rstrip(".?।") if source.chance(SPOKEN_PLAINLY) else text


def _slots(text: str) -> set[str]:
    return set(SLOT.findall(text))
