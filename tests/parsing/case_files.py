"""The cases of tests/cases: text in, events out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import yaml

from server.parsing import Parser, ParserEvent, Schemas, make_parser
from server.records import Arguments, Reasoning, Text, ToolCall

CASES = Path(__file__).parents[1] / "cases"
TOOLS = yaml.safe_load((CASES / "tools.yaml").read_text("utf-8"))
# A folder of cases, and the family that reads them. Llama's two read the same.
FAMILY_OF = {
    "hermes": "hermes",
    "qwen3_coder": "qwen3_coder",
    "glm45": "glm45",
    "gpt_oss": "gpt_oss",
    "deepseek": "deepseek_v3",
    "mistral": "mistral",
    "llama": "llama_json",
}


@dataclass(frozen=True)
class Case:
    """events: merged, in order; a call as (name, arguments)."""

    name: str
    text: str
    events: tuple[str | tuple[str, str], ...]
    failures: int = 0
    cut: bool = False
    family: str = "hermes"
    reasoning: str = ""
    thinking_open: bool = False
    schemas: Schemas = field(default_factory=lambda: TOOLS)

    @property
    def content(self) -> str:
        return "".join(event for event in self.events if isinstance(event, str))

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [event for event in self.events if isinstance(event, tuple)]

    @property
    def outcome(self) -> tuple[object, ...]:
        return self.events, self.failures, self.cut

    def parser(self, *, tools: bool = True) -> Parser:
        return parser(self.family, tools=tools, thinking_open=self.thinking_open, schemas=self.schemas)

    def parse(self, pieces: Iterable[str], *, cut_off: bool = False) -> "Case":
        """What comes of the pieces."""
        reader = self.parser()
        events = feed_all(reader, pieces, cut_off=cut_off)
        return Case(self.name, self.text, merged(events), reader.failures, reader.cut, self.family)


def load(folder: str) -> list[Case]:
    files = sorted((CASES / folder).glob("*.yaml"))
    return [_case(folder, file.stem, raw) for file in files for raw in yaml.safe_load(file.read_text("utf-8"))]


def load_all() -> list[Case]:
    return [case for folder in FAMILY_OF for case in load(folder)]


def _case(folder: str, theme: str, raw: dict[str, Any]) -> Case:
    events = _joined(event["say"] if "say" in event else (event["call"], event["arguments"]) for event in raw["events"])
    optional = {key: raw[key] for key in ("failures", "cut", "reasoning", "thinking_open") if key in raw}
    return Case(f"{folder}, {theme}: {raw['name']}", raw["text"], events, family=FAMILY_OF[folder], **optional)


def _joined(events: Iterable[str | tuple[str, str]]) -> tuple[str | tuple[str, str], ...]:
    joined: list[str | tuple[str, str]] = []
    for event in events:
        if joined and isinstance(event, str) and isinstance(joined[-1], str):
            joined[-1] += event
        else:
            joined.append(event)
    return tuple(joined)


def parser(family: str, *, tools: bool = True, thinking_open: bool = False, schemas: Schemas = TOOLS) -> Parser:
    numbers = count()
    return make_parser(
        family, tools=tools, schemas=schemas, thinking_open=thinking_open, new_id=lambda: f"call_{next(numbers)}"
    )


def hermes(*, tools: bool = True) -> Parser:
    return parser("hermes", tools=tools)


def feed_all(parser: Parser, pieces: Iterable[str], *, cut_off: bool = False) -> list[ParserEvent]:
    return [event for piece in pieces for event in parser.feed(piece)] + list(parser.finish(cut_off=cut_off))


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
            case Reasoning(text):
                assert text
            case ToolCall(index, id_, name):
                calls += 1
                assert (index, id_) == (calls, f"call_{calls}")
                shapes.append((name, ""))
            case Arguments(index, text):
                name, so_far = shapes[-1]
                assert index == calls and text
                shapes[-1] = (name, so_far + text)
    return _joined(shapes)


def parse(
    text: str,
    pieces: Sequence[str] | None = None,
    family: str = "hermes",
    schemas: Schemas = TOOLS,
    *,
    cut_off: bool = False,
) -> Case:
    case = Case("", text, (), family=family, schemas=schemas)
    return case.parse([text] if pieces is None else pieces, cut_off=cut_off)
