"""What agents can do: the tables of domains/*.toml, and actions invented from a verb and a noun."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from server.nano.train.corpus.source import Source

HERE = Path(__file__).parent
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Wording:
    """How an action sounds in one language; {slot} stands for a value of the action's slots or results.

    `do` and `what` are parts of sentences, the rest whole ones.
    """

    do: list[str]
    what: list[str]
    ask: list[str]
    filler: list[str]
    answer: list[str]


@dataclass(frozen=True)
class Action:
    """One thing a tool does. `slots` and `results` map a name to a kind of kinds.toml."""

    names: list[str]
    about: list[str]
    slots: dict[str, str]
    required: list[str]
    results: dict[str, str]
    wording: dict[str, Wording]

    @property
    def gives_code(self) -> bool:
        return "code" in self.results.values()

    @property
    def needs_only_code(self) -> bool:
        return [self.slots[slot] for slot in self.required] == ["code"]


@cache
def talk() -> dict[str, dict[str, list[str]]]:
    """The tables of talk.toml."""
    return cast(dict[str, dict[str, list[str]]], tomllib.loads((HERE / "talk.toml").read_text(encoding="utf-8")))


@cache
def domains() -> dict[str, list[Action]]:
    """Every domain by name with its actions."""
    files = sorted((HERE / "domains").glob("*.toml"))
    return {
        file.stem: [_action(row) for row in tomllib.loads(file.read_text(encoding="utf-8"))["actions"]]
        for file in files
    }


def _action(row: dict[str, object]) -> Action:
    languages = {code: Wording(**cast(dict[str, list[str]], row[code])) for code in ("en", "hi", "es")}
    return Action(
        names=cast(list[str], row["names"]),
        about=cast(list[str], row["about"]),
        slots=cast(dict[str, str], row["slots"]),
        required=cast(list[str], row["required"]),
        results=cast(dict[str, str], row["results"]),
        wording=languages,
    )


def invented(source: Source) -> Action:
    """An English action such as "renew the zarnel permit" with one to three slots of any kind."""
    words = talk()["generic"]
    verb = source.wording(words["verbs"]) if source.chance(0.8) else source.word()
    noun = source.word() if source.chance(0.4) else source.wording(words["nouns"])
    fill = {"{verb}": verb, "{noun}": noun, "{Verb}": verb.capitalize()}
    kinds = source.rng.sample(
        ["person", "place", "day", "code", "count", "amount", "product", "time"], source.rng.randint(1, 3)
    )
    wording = Wording(
        do=[_filled(text, fill) for text in words["do"]],
        what=[],
        ask=[],
        filler=[_filled(text, fill) for text in words["fillers"]],
        answer=[_filled(text, fill) for text in words["answers"]],
    )
    return Action(
        names=[f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}_{noun}_{source.word()}"],
        about=[_filled(text, fill) for text in words["about"]],
        slots={kind: kind for kind in kinds},
        required=kinds[: source.rng.randint(1, len(kinds))],
        results={"status": "status", "code": "code"} if "code" not in kinds else {"status": "status"},
        wording={"en": wording},
    )


def _filled(text: str, fill: dict[str, str]) -> str:
    for mark, word in fill.items():
        text = text.replace(mark, word)
    return text
