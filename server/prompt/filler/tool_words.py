"""What a tool does, as far as its name or its description tells."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from server.prompt.filler.phrases import Kind

_TABLE = Path(__file__).with_name("tool_words.toml")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_FIRST_WORDS = 4  # of a description: "This tool will book…"


def kind_of(name: str, description: str | None) -> Kind:
    """By the first word that says so: of the name, else of the description."""
    for word in (*_words(name), *_words(description or "")[:_FIRST_WORDS]):
        for form in (word, word.removesuffix("s"), word.removesuffix("es")):
            if form in _kinds():
                return _kinds()[form]
    return "waiting"


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


@cache
def _kinds() -> Mapping[str, Kind]:
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    kinds: tuple[Kind, ...] = ("look_up", "action")
    return {word: kind for kind in kinds for word in table[kind].split()}
