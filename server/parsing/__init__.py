"""From the text that a model writes to events: what to speak, what to call, what it thinks."""

from server.parsing.base import NewId, Parser, ParserEvent, random_id
from server.parsing.collect import CollectedCall, Collector, Message, collect
from server.parsing.families import FAMILIES, Family, Schemas
from server.parsing.filler import Filled
from server.parsing.foreign import FOREIGN, foreign_family
from server.parsing.making import detect, make_parser
from server.parsing.turn import most_calls, turn_parser
from server.parsing.whole import Extract, WholeText
from server.records import CallGrammar

__all__ = [
    "FAMILIES",
    "FOREIGN",
    "CallGrammar",
    "CollectedCall",
    "Collector",
    "Extract",
    "Family",
    "Filled",
    "Message",
    "NewId",
    "Parser",
    "ParserEvent",
    "Schemas",
    "WholeText",
    "collect",
    "detect",
    "foreign_family",
    "make_parser",
    "most_calls",
    "random_id",
    "turn_parser",
]
