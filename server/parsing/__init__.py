"""From the text that a model writes to events: what to speak, what to call, what it thinks."""

from server.parsing.base import AnyEvent, NewId, Parser, ParserEvent, Reasoning, ReasoningParser, random_id
from server.parsing.collect import CollectedCall, Collector, Message, collect
from server.parsing.families import FAMILIES, Family, Schemas
from server.parsing.grammar import CallGrammar
from server.parsing.making import detect, make_parser

__all__ = [
    "FAMILIES",
    "AnyEvent",
    "CallGrammar",
    "CollectedCall",
    "Collector",
    "Family",
    "Message",
    "NewId",
    "Parser",
    "ParserEvent",
    "Reasoning",
    "ReasoningParser",
    "Schemas",
    "collect",
    "detect",
    "make_parser",
    "random_id",
]
