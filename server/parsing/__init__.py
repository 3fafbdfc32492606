"""From the text that a model writes to events: what to speak, what to call."""

from server.parsing.base import NewId, Parser, ParserEvent, random_id
from server.parsing.collect import CollectedCall, Collector, Message, collect
from server.parsing.families import FAMILIES, detect, make_parser

__all__ = [
    "FAMILIES",
    "CollectedCall",
    "Collector",
    "Message",
    "NewId",
    "Parser",
    "ParserEvent",
    "collect",
    "detect",
    "make_parser",
    "random_id",
]
