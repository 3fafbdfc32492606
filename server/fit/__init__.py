"""Does the model fit the card? Arithmetic from its config.json, before anything is loaded."""

from server.fit.budget import Budget, budget
from server.fit.cards import Card, card_of, present_card
from server.fit.shape import Shape, shape_of
from server.fit.source import Source, read_source
from server.fit.words import explain

__all__ = [
    "Budget",
    "Card",
    "Shape",
    "Source",
    "budget",
    "card_of",
    "explain",
    "present_card",
    "read_source",
    "shape_of",
]
