"""The parser for one answer."""

from difflib import get_close_matches
from types import MappingProxyType

from server.parsing.base import NewId, Parser, random_id
from server.parsing.either import CallsOrJson
from server.parsing.families import FAMILIES, Family, Schemas
from server.parsing.foreign import detect_foreign
from server.parsing.plain import SpeechOnly, Verbatim
from server.parsing.thinking import Thinking


def make_parser(
    family: str | Family,
    *,
    tools: bool,
    verbatim: bool = False,
    new_id: NewId = random_id,
    schemas: Schemas = MappingProxyType({}),
    thinking_open: bool = False,
) -> Parser:
    """The parser for one answer.

    Args:
        family: a key of `FAMILIES`, or a family that is not listed there.
        tools: calls may be made; otherwise what looks like one is dropped.
        verbatim: a grammar shapes the whole answer into JSON, or into calls where there are tools: pass JSON through.
        schemas: of the tools' arguments, by the name of the tool: some families write strings without quotes.
        thinking_open: the prompt ends in the opening tag of a thought.

    Raises:
        ValueError: an unknown family.
    """
    row = family if isinstance(family, Family) else _known(family)
    parser: Parser = Verbatim() if verbatim and not tools else row.calls(new_id, schemas)
    if verbatim and tools:
        parser = CallsOrJson(parser, row.grammar.trigger if row.grammar else "")
    if row.thought and (thinking_open or tools or not verbatim):
        parser = Thinking(parser, *row.thought, opened=thinking_open)
    return parser if tools or verbatim else SpeechOnly(parser)


def detect(chat_template: str) -> str:
    """The family that a chat template speaks, ours or foreign; "plain" where none is recognisable."""
    name = next(name for name, family in FAMILIES.items() if family.speaks(chat_template))
    return detect_foreign(chat_template) or name if name == "plain" else name


def _known(name: str) -> Family:
    if name not in FAMILIES:
        near = get_close_matches(name, FAMILIES, n=3, cutoff=0.5) or list(FAMILIES)
        raise ValueError(f"unknown tool-call family {name!r}; the nearest known: {', '.join(near)}")
    return FAMILIES[name]
