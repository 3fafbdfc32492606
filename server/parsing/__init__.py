"""From the text that a model writes to events: what to speak, what to call, what it thinks."""

from server.parsing.base import AnyEvent, NewId, Parser, ParserEvent, Reasoning, ReasoningParser, random_id
from server.parsing.collect import CollectedCall, Collector, Message, collect
from server.parsing.families import FAMILIES, Family, Schemas
from server.parsing.foreign import detect_foreign
from server.parsing.grammar import CallGrammar
from server.parsing.making import detect, make_parser
from server.parsing.whole import Extract, WholeText

__all__ = [
    "FAMILIES",
    "AnyEvent",
    "CallGrammar",
    "CollectedCall",
    "Collector",
    "Extract",
    "Family",
    "Message",
    "NewId",
    "Parser",
    "ParserEvent",
    "Reasoning",
    "ReasoningParser",
    "Schemas",
    "WholeText",
    "collect",
    "detect",
    "detect_foreign",
    "make_parser",
    "random_id",
]
