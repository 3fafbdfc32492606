"""The cases of tests/cases: text in, events out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import yaml

from server.parsing import Parser, ParserEvent, make_parser
from server.records import Arguments, Text, ToolCall

CASES = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True)
class Case:
    """events: merged, in order; a call as (name, arguments)."""

    name: str
    text: str
    events: tuple[str | tuple[str, str], ...]
    failures: int = 0
    cut: bool = False

    @property
    def content(self) -> str:
        return "".join(event for event in self.events if isinstance(event, str))

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [event for event in self.events if isinstance(event, tuple)]


def load(family: str) -> list[Case]:
    files = sorted((CASES / family).glob("*.yaml"))
    return [_case(file.stem, raw) for file in files for raw in yaml.safe_load(file.read_text("utf-8"))]


def _case(theme: str, raw: dict[str, Any]) -> Case:
    events = tuple(event["say"] if "say" in event else (event["call"], event["arguments"]) for event in raw["events"])
    name = f"{theme}: {raw['name']}"
    return Case(name, raw["text"], _joined(events), raw.get("failures", 0), raw.get("cut", False))


def _joined(events: Iterable[str | tuple[str, str]]) -> tuple[str | tuple[str, str], ...]:
    joined: list[str | tuple[str, str]] = []
    for event in events:
        if joined and isinstance(event, str) and isinstance(joined[-1], str):
            joined[-1] += event
        else:
            joined.append(event)
    return tuple(joined)


def hermes(*, tools: bool = True) -> Parser:
    numbers = count()
    return make_parser("hermes", tools=tools, new_id=lambda: f"call_{next(numbers)}")


def feed_all(parser: Parser, pieces: Iterable[str]) -> list[ParserEvent]:
    return [event for piece in pieces for event in parser.feed(piece)] + list(parser.finish())


def split(text: str, cuts: Iterable[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def merged(events: Sequence[ParserEvent]) -> tuple[str | tuple[str, str], ...]:
    """As in `Case.events`; checks indices, ids and that a call's arguments follow it without a break."""
    calls = -1
    shapes: list[str | tuple[str, str]] = []
    for event in events:
        match event:
            case Text(text):
                assert text
                shapes.append(text)
            case ToolCall(index, id_, name):
                calls += 1
                assert (index, id_) == (calls, f"call_{calls}")
                shapes.append((name, ""))
            case Arguments(index, text):
                name, so_far = shapes[-1]
                assert index == calls and text
                shapes[-1] = (name, so_far + text)
    return _joined(shapes)


def parse(text: str, pieces: Sequence[str] | None = None) -> Case:
    parser = hermes()
    events = feed_all(parser, [text] if pieces is None else pieces)
    return Case("", text, merged(events), parser.failures, parser.cut)
