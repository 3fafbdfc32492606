"""Copying taught bare, short and dense: repeat a phrase, look up a key, turn pairs into JSON."""

import json

from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.values import Value, value

KINDS = ("place", "person", "code", "amount", "count", "product", "time", "phone", "address")


def drill(source: Source) -> Conversation:
    """One short exercise with one to four questions."""
    conversation = Conversation(source.rng.choices(("en", "hi", "es"), weights=(70, 15, 15))[0])
    pairs = {
        source.word(): value(source, source.pick(KINDS), conversation.language) for _ in range(source.rng.randint(2, 6))
    }
    source.pick((_repeat, _look_up, _to_json))(source, conversation, pairs)
    return conversation


def _repeat(source: Source, conversation: Conversation, pairs: dict[str, Value]) -> None:
    for key, item in pairs.items():
        text = source.pick([f"{key} {item}", f"{item}", f"{source.name()} {source.word()} {item}"])
        conversation.say("user", f"Say: {text}")
        conversation.answer("drill", text)


def _look_up(source: Source, conversation: Conversation, pairs: dict[str, Value]) -> None:
    shape = source.pick(["{}: {}", "{} is {}", "{} = {}"])
    conversation.say("user", ", ".join(shape.format(key, item) for key, item in pairs.items()))
    conversation.answer("drill", "OK.")
    for key in source.rng.sample(sorted(pairs), min(4, len(pairs))):
        conversation.say("user", f"{key}?")
        conversation.answer("drill", str(pairs[key]))


def _to_json(source: Source, conversation: Conversation, pairs: dict[str, Value]) -> None:
    shape = source.pick(["{}: {}", "{} is {}", "{} = {}"])
    conversation.say("user", "JSON: " + ", ".join(shape.format(key, item) for key, item in pairs.items()))
    conversation.answer("drill", json.dumps(pairs, ensure_ascii=False))
