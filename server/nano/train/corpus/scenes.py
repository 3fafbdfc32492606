"""Whole conversations: a phone agent with tools, plain talk, an answer in JSON."""

import json

from server.nano.train.corpus.actions import SLOT, Action, domains, invented, talk
from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.episodes import episode, no_tool, small_talk
from server.nano.train.corpus.phrases import fill
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.tools import make_tool
from server.nano.train.corpus.values import kinds, value
from server.prompt.filler.asking import AskRule

RULE = AskRule()  # the server's: what the model says of its own accord and what the server sees to are one


def agent(source: Source) -> Conversation:
    """A phone agent with one to five tools and one to four things to do."""
    language = source.rng.choices(("en", "hi", "es"), weights=(84, 8, 8))[0]
    mode = source.rng.choices(("asks", "none", "forbids"), weights=(40, 48, 12))[0]
    conversation = Conversation(language)
    count = source.rng.choices((1, 2, 3, 4, 5), weights=(30, 25, 20, 13, 12))[0]
    tools = [make_tool(source, action) for action in _actions(source, language, count)]
    conversation.tools = [tool.schema for tool in tools]
    _system(source, conversation, mode)
    for _ in range(source.rng.choices((1, 2, 3, 4), weights=(10, 25, 35, 30))[0]):
        episode(source, conversation, tools)
    return conversation


def chat(source: Source) -> Conversation:
    """Small talk and requests, with no tool at hand."""
    conversation = Conversation(source.rng.choices(("en", "hi", "es"), weights=(80, 10, 10))[0])
    _system(source, conversation, "none")
    for _ in range(source.rng.randint(1, 3)):
        (small_talk if source.chance(0.75) else no_tool)(source, conversation, [])
    return conversation


def json_answer(source: Source) -> Conversation:
    """JSON objects with the asked keys, their values taken from a sentence or two each."""
    conversation = Conversation()
    if source.chance(0.75):
        conversation.say("system", source.wording(talk()["json"]["systems"]))
    for _ in range(source.rng.choices((1, 2, 3, 4), weights=(25, 25, 25, 25))[0]):
        _extract(source, conversation)
    return conversation


def _extract(source: Source, conversation: Conversation) -> None:
    text = _facts(source)
    slots = {kind: value(source, kind, "en") for kind in sorted(set(SLOT.findall(text)))}
    chosen = source.rng.sample(sorted(slots), source.rng.randint(1, min(4, len(slots))))
    keys = {kind: _key(source, kind) for kind in chosen}
    if len(set(keys.values())) < len(keys):
        keys = {kind: kind for kind in chosen}
    ask = _json_request(source)
    for mark, words in (("{text}", fill(text, slots, "en")), ("{keys}", _listed(source, list(keys.values())))):
        ask = ask.replace(mark, words)
    conversation.say("user", ask)
    conversation.answer("json", json.dumps({keys[kind]: slots[kind] for kind in chosen}, ensure_ascii=False))


def _json_request(source: Source) -> str:
    """How the object is asked for, with {text} and {keys}."""
    table = talk()["json"]
    while True:
        ask, text = source.pick(table["asks"]), source.pick(table["texts"])
        request = source.pick(table["joined"]).replace("{ask}", ask).replace("{text}", text)
        if source.owns(request):
            return request


def _facts(source: Source) -> str:
    """A sentence from the table, or somebody of whom one to three things are said; each kind of value once."""
    table = talk()["json"]
    if source.chance(0.25):
        return source.pick(table["sentences"])
    said: list[str] = []
    for predicate in source.rng.sample(table["predicates"], source.rng.randint(1, 3)):
        if not set(SLOT.findall(predicate)) & set(SLOT.findall(" ".join(said))):
            said.append(predicate)
    subject, other = source.pick(table["subjects"]), source.pick(table["others"])
    if said[1:] and source.chance(0.4):
        return f"{subject} {said[0]}. {other} {' and '.join(said[1:])}."
    return f"{subject} {', '.join(said[:-1])}{' and ' if said[1:] else ''}{said[-1]}."


def _key(source: Source, kind: str) -> str:
    """What the value is called: what words like these mean is known, but some are longer, so that they are copied."""
    name = kind if source.chance(0.3) else source.pick(kinds()[kind].names)
    return f"{source.word()}_{name}" if source.chance(0.15) else name


def _listed(source: Source, keys: list[str]) -> str:
    quoted = [f'"{key}"' for key in keys] if source.chance(0.3) else keys
    return (
        ", ".join(quoted[:-1]) + (" and " if quoted[1:] else "") + quoted[-1]
        if source.chance(0.6)
        else ", ".join(quoted)
    )


def _actions(source: Source, language: str, count: int) -> list[Action]:
    """Some of one domain and some of all; at times two that make a chain, else at times invented ones."""
    known = [action for actions in domains().values() for action in actions]
    near = source.pick(list(domains().values()))
    pool = source.rng.sample(near, min(len(near), 2)) + source.rng.sample(known, 5)
    chained = count > 1 and source.chance(0.2)
    if chained:
        pool = [
            source.pick([a for a in known if a.gives_code]),
            source.pick([a for a in known if a.needs_only_code]),
            *pool,
        ]
    unique = list({action.names[0]: action for action in pool}.values())[:count]
    if language == "en" and not chained:
        unique = [invented(source) if source.chance(0.35) else action for action in unique]
    source.rng.shuffle(unique)
    return unique


def _system(source: Source, conversation: Conversation, mode: str) -> None:
    language = conversation.language if source.chance(0.5) else "en"
    table = {name: talk()[name][language] for name in ("personas", "asks_for_filler", "forbids_filler", "neutral")}
    parts = [_persona(source, table["personas"], mode)] if source.chance(0.85) else []
    extra = [source.wording(table["neutral"])] if source.chance(0.35) else []
    if mode != "none":
        composed = language == "en" and source.chance(0.65)
        listed = table["asks_for_filler" if mode == "asks" else "forbids_filler"]
        extra.append(_composed_request(source, mode == "asks") if composed else source.wording(listed))
    source.rng.shuffle(extra)
    parts = [text.format(company=source.name(), name=source.name()) if "{" in text else text for text in parts + extra]
    if mode == "none" and source.chance(0.15):
        return
    conversation.wants_filler = mode == "asks" or (mode == "none" and RULE.wanted(parts))
    if source.chance(0.1):
        for part in parts:
            conversation.say("system", part)
    elif parts:
        conversation.say("system", " ".join(parts))


def _persona(source: Source, personas: list[str], mode: str) -> str:
    """Who the agent is. A voice agent speaks before it calls; where nothing is said about that, half are none."""
    if personas is talk()["personas"]["en"] and source.chance(0.6):
        return _composed_persona(source, "plain" if source.chance(0.55) else "voice")
    known = source.side(personas)
    plain = [text for text in known if not RULE.wanted([text])]
    return source.pick(plain if mode == "none" and plain and source.chance(0.55) else known)


def _composed_persona(source: Source, kind: str) -> str:
    table = talk()["persona"]
    while True:
        if source.chance(0.35):
            text = f"You {source.pick(talk()[kind]['work'])} for {{company}}.{source.pick(table['more'])}"
        else:
            of, manner, role = source.pick(table["of"]), source.pick(table["manner"]), source.pick(talk()[kind]["role"])
            article = "the" if of.startswith(" of") else "an" if (manner + role)[0] in "aeiou" else "a"
            text = f"You are {article} {manner}{role}{of}.{source.pick(table['more'])}"
        if source.owns(text):
            return text


def _composed_request(source: Source, asks: bool) -> str:
    """A demand to speak, or to be silent, before a tool call; whole sentences are held out, not their parts."""
    table = {name: talk()[name]["en"] for name in ("before", "say", "stay_silent", "like")}
    while True:
        before, act = source.pick(table["before"]), source.pick(table["say" if asks else "stay_silent"])
        first, second = (before + ",", act) if source.chance(0.5) else (act, before)
        text = f"{first[0].upper()}{first[1:]} {second}{source.pick(table['like']) if asks else ''}."
        if source.owns(text):
            return text
