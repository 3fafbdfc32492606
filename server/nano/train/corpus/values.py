"""Values of every kind, in the conversation's language; what is said goes into the JSON character for character."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias, cast

from server.nano.train.corpus.source import Source

Value: TypeAlias = str | int | float
SCRIPT = {"en": "latin", "es": "latin", "hi": "devanagari"}
JSON_TYPE = {str: "string", int: "integer", float: "number"}


@dataclass(frozen=True)
class Kind:
    """A row of kinds.toml: `inline` are words for a value within a request, `told` sentences that tell it."""

    names: list[str]
    about: list[str]
    real: dict[str, list[str]]
    question: dict[str, list[str]]
    inline: dict[str, list[str]]
    told: dict[str, list[str]]


@cache
def kinds() -> dict[str, Kind]:
    table = tomllib.loads((Path(__file__).parent / "kinds.toml").read_text(encoding="utf-8"))
    return {name: _kind(row) for name, row in table.items()}


def _kind(row: dict[str, object]) -> Kind:
    languages = {code: cast(dict[str, list[str]], row[code]) for code in SCRIPT}
    by_use = {
        use: {code: texts.get(use, ["{}"]) for code, texts in languages.items()}
        for use in ("real", "question", "inline", "told")
    }
    return Kind(names=cast(list[str], row["names"]), about=cast(list[str], row["about"]), **by_use)


def value(source: Source, kind: str, language: str) -> Value:
    """One value of `kind`; text kinds mix real words with pseudo-words, which alone serve the held-out side."""
    if kind in MAKERS:
        return MAKERS[kind](source, language)
    real = kinds()[kind].real[language]
    if kind in INVENTED and (source.held_out or source.chance(0.7)):
        return INVENTED[kind](source, language)
    return source.pick(real)


def _word(source: Source, language: str) -> str:
    return source.word(SCRIPT[language])


def _name(source: Source, language: str) -> str:
    return source.name(SCRIPT[language])


def _place(source: Source, language: str) -> Value:
    lead = "" if source.chance(0.75) else source.pick(["New ", "San ", "Port ", "East "]) if language == "en" else ""
    return lead + _name(source, language)


def _person(source: Source, language: str) -> Value:
    real = source.pick(kinds()["person"].real[language]).split()[0]
    first = real if source.chance(0.3) else _name(source, language)
    return first if source.chance(0.2) else f"{first} {_name(source, language)}"


def _thing(kind: str) -> Callable[[Source, str], Value]:
    def make(source: Source, language: str) -> Value:
        real = source.pick(kinds()[kind].real[language]).split()
        kept = real[source.rng.randrange(len(real))]
        return source.pick(
            [_word(source, language), f"{_word(source, language)} {kept}", f"{kept} {_word(source, language)}"]
        )

    return make


def _problem(source: Source, language: str) -> Value:
    lead = {"en": "my {} is broken", "hi": "मेरा {} खराब है", "es": "mi {} no funciona"}[language]
    return lead.format(_word(source, language))


def _code(source: Source, language: str) -> Value:
    letters = "".join(source.pick("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(source.rng.randint(1, 3)))
    digits = source.digits(source.rng.randint(3, 6))
    return source.pick([digits, f"{letters}-{digits}", f"{letters}{digits}", digits])


def _time(source: Source, language: str) -> Value:
    hour, minute = source.rng.randint(1, 12), source.pick(["00", "15", "30", "45"])
    if language == "hi":
        return f"{source.pick(['सुबह', 'दोपहर', 'शाम'])} {hour} बजे"
    if language == "es":
        return f"las {hour} de la {source.pick(['mañana', 'tarde'])}"
    return source.pick(
        [f"{hour} {source.pick(['am', 'pm'])}", f"{hour}:{minute}", f"{hour + 8}:{minute}", f"{hour}:{minute} pm"]
    )


def _address(source: Source, language: str) -> Value:
    number = source.rng.randint(1, 250)
    shape = {"en": "{1} {0} Street", "hi": "{1} {0} मार्ग", "es": "calle {0} {1}"}[language]
    return shape.format(_name(source, language), number)


def _amount(source: Source, language: str) -> Value:
    return source.pick(
        [
            source.rng.randint(5, 99),
            source.rng.randint(100, 999),
            source.rng.randint(1, 90) * 100,
            source.rng.randint(10, 999) + 0.5,
        ]
    )


def _day(source: Source, language: str) -> Value:
    """Weekdays and relative days; one in four is a date with a number, which cannot be recited."""
    months = {
        "en": ["March", "May", "June", "October"],
        "hi": ["मार्च", "मई", "जून"],
        "es": ["de marzo", "de mayo", "de junio"],
    }
    if source.chance(0.25):
        return f"{source.rng.randint(1, 28)} {source.pick(months[language])}"
    return source.pick(kinds()["day"].real[language]).removeprefix("on ")


MAKERS: dict[str, Callable[[Source, str], Value]] = {
    "time": _time,
    "day": _day,
    "code": _code,
    "address": _address,
    "amount": _amount,
    "digits": lambda source, language: source.digits(4),
    "phone": lambda source, language: source.digits(source.rng.randint(8, 10)),
    "count": lambda source, language: source.rng.randint(1, 12) if source.chance(0.7) else source.rng.randint(13, 400),
    "degrees": lambda source, language: source.rng.randint(-9, 44),
}
INVENTED: dict[str, Callable[[Source, str], Value]] = {
    "place": _place,
    "person": _person,
    "product": _thing("product"),
    "dish": _thing("dish"),
    "service": _thing("service"),
    "problem": _problem,
}
