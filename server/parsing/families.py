"""Which models speak which language for calls. A new family is a module with its parser and a row here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from server.parsing.base import NewId, Parser, random_id
from server.parsing.hermes import Hermes
from server.parsing.plain import SpeechOnly, Verbatim
from server.parsing.thinking import Thinking

_UNSPOKEN = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)


@dataclass(frozen=True, slots=True)
class Family:
    """tools: the parser for a turn that offers tools. speaks: whether a chat template is of this family."""

    tools: Callable[[NewId], Parser]
    speaks: Callable[[str], bool]


def _hermes(new_id: NewId) -> Parser:
    return Thinking(Hermes(_UNSPOKEN, new_id))


def _plain(new_id: NewId) -> Parser:
    return SpeechOnly(_hermes(new_id))  # markup of the commonest kind is not spoken even where none is expected


def _is_hermes(chat_template: str) -> bool:
    """`<tool_call>` with JSON inside: Qwen3-Coder and GLM put XML there."""
    json_inside = "<function=" not in chat_template and "<arg_key>" not in chat_template
    return json_inside and "<tool_call>" in chat_template and "arguments" in chat_template


# The order is that of detection; the last one takes every template.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "hermes": Family(_hermes, _is_hermes),
        "plain": Family(_plain, lambda chat_template: True),
    }
)


def make_parser(family: str, *, tools: bool, verbatim: bool = False, new_id: NewId = random_id) -> Parser:
    """The parser for one answer.

    Args:
        family: a key of `FAMILIES`.
        tools: calls may be made; otherwise what looks like one is dropped.
        verbatim: a grammar shapes the whole answer and it is no call (JSON mode): pass everything through.

    Raises:
        ValueError: an unknown family.
    """
    if family not in FAMILIES:
        near = get_close_matches(family, FAMILIES, n=3, cutoff=0.5) or list(FAMILIES)
        raise ValueError(f"unknown tool-call family {family!r}; the nearest known: {', '.join(near)}")
    if verbatim:
        return Verbatim()
    parser = FAMILIES[family].tools(new_id)
    return parser if tools else SpeechOnly(parser)


def detect(chat_template: str) -> str:
    """The family that a chat template speaks; "plain" where none is recognisable."""
    return next(name for name, family in FAMILIES.items() if family.speaks(chat_template))
