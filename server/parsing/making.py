"""The parser for one answer."""

from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, overload

from server.parsing.base import NewId, Parser, ReasoningParser, random_id
from server.parsing.families import FAMILIES, Family, Schemas
from server.parsing.plain import SpeechOnly, Thoughtless, Verbatim
from server.parsing.thinking import Thinking


@overload
def make_parser(
    family: str | Family,
    *,
    tools: bool,
    verbatim: bool = ...,
    new_id: NewId = ...,
    schemas: Schemas = ...,
    thinking_open: bool = ...,
    reasoning: Literal[False] = ...,
) -> Parser: ...


@overload
def make_parser(
    family: str | Family,
    *,
    tools: bool,
    verbatim: bool = ...,
    new_id: NewId = ...,
    schemas: Schemas = ...,
    thinking_open: bool = ...,
    reasoning: bool,
) -> ReasoningParser: ...


def make_parser(
    family: str | Family,
    *,
    tools: bool,
    verbatim: bool = False,
    new_id: NewId = random_id,
    schemas: Schemas = MappingProxyType({}),
    thinking_open: bool = False,
    reasoning: bool = False,
) -> ReasoningParser:
    """The parser for one answer.

    Args:
        family: a key of `FAMILIES`, or a family that is not listed there.
        tools: calls may be made; otherwise what looks like one is dropped.
        verbatim: a grammar shapes the whole answer and it is no call (JSON mode): pass everything through.
        schemas: of the tools' arguments, by the name of the tool: some families write strings without quotes.
        thinking_open: the prompt ends in the opening tag of a thought.
        reasoning: report what the model thinks; otherwise it is dropped.

    Raises:
        ValueError: an unknown family.
    """
    row = family if isinstance(family, Family) else _known(family)
    parser: ReasoningParser = Verbatim() if verbatim else row.calls(new_id, schemas)
    if row.thought and (thinking_open or not verbatim):
        parser = Thinking(parser, *row.thought, opened=thinking_open)
    if not (tools or verbatim):
        parser = SpeechOnly(parser)
    return parser if reasoning else Thoughtless(parser)


def detect(chat_template: str) -> str:
    """The family that a chat template speaks; "plain" where none is recognisable."""
    return next(name for name, family in FAMILIES.items() if family.speaks(chat_template))


def _known(name: str) -> Family:
    if name not in FAMILIES:
        near = get_close_matches(name, FAMILIES, n=3, cutoff=0.5) or list(FAMILIES)
        raise ValueError(f"unknown tool-call family {name!r}; the nearest known: {', '.join(near)}")
    return FAMILIES[name]
