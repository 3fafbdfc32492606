"""Generated conversations, all written here, deterministic from a seed."""

from random import Random

from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.drills import drill
from server.nano.train.corpus.scenes import agent, chat, json_answer
from server.nano.train.corpus.source import Source

__all__ = ["Conversation", "conversation"]


def conversation(seed: int, held_out: bool = False, drills: float = 0.0) -> Conversation:
    """Conversation number `seed`; held-out ones have words of their own. `drills` is the share of exercises."""
    source = Source(Random(f"{'held-out' if held_out else 'train'} {seed}"), held_out)
    if source.chance(drills):
        return drill(source)
    return source.rng.choices((agent, chat, json_answer), weights=(70, 6, 24))[0](source)
