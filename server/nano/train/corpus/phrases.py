"""Sentences of one conversation: wordings of the tables with their slots filled by its values."""

import json
import re

from server.nano.train.corpus.actions import SLOT, Action, talk
from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.requests import composed_request, framed, opener
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.tools import Json, Tool
from server.nano.train.corpus.values import kinds, value

LISTED = 0.3
DAY_SLOTS = frozenset({"day", "arrives"})
DATE = re.compile(r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|\d+ [A-Z]")
NO_ON = (" for", " to", " on", ",")


def fill(text: str, values: Json, language: str) -> str:
    """Slots replaced by their values; an English weekday or date gets its "on" unless another preposition is there."""

    def said(match: re.Match[str]) -> str:
        word = str(values[match[1]])
        before = text[: match.start()].rstrip()
        takes_on = language == "en" and match[1] in DAY_SLOTS and DATE.match(word)
        return f"on {word}" if takes_on and not before.lower().endswith(NO_ON) else word

    return SLOT.sub(said, text)


def request_for(
    source: Source, conversation: Conversation, tool: Tool, values: Json, complete: bool
) -> tuple[str, Json] | None:
    """A request that names all required slots (or lacks one), with the values of the slots that it names."""
    text = request_text(source, tool.action, conversation.language, complete)
    if text is None:
        return None
    return fill(text, values, conversation.language), {slot: values[slot] for slot in SLOT.findall(text)}


def request_text(source: Source, action: Action, language: str, complete: bool) -> str | None:
    """As `request_for`, each slot as {slot}: mostly composed, at times one of the listed wordings."""
    listed = [
        ask for ask in action.wording[language].ask if (set(action.required) <= set(SLOT.findall(ask))) is complete
    ]
    if listed and source.chance(LISTED):
        return opener(source, language) + source.wording(listed)
    return composed_request(source, action, language, _named_slots(source, action, complete))


def _named_slots(source: Source, action: Action, complete: bool) -> set[str]:
    """All required slots or all but some of them, and the others by chance."""
    left_out = [] if complete else source.rng.sample(action.required, source.rng.randint(1, len(action.required)))
    optional = [slot for slot in action.slots if slot not in action.required and source.chance(0.4)]
    return {*action.required, *optional} - set(left_out)


def said_result(source: Source, conversation: Conversation, action: Action, known: Json) -> tuple[str, list[str]]:
    """The sentence that reads a result back, and the values in it."""
    wording = action.wording[conversation.language]
    fitting = [t for t in source.side(wording.answer) if set(SLOT.findall(t)) <= known.keys()]
    text = source.pick(fitting[:3] or [t for t in wording.answer if set(SLOT.findall(t)) <= known.keys()])
    return fill(text, known, conversation.language), [str(known[slot]) for slot in SLOT.findall(text)]


def filler_for(source: Source, conversation: Conversation, call: tuple[Tool, Json], again: bool) -> str:
    """A short sentence to say before a call, about the call or a general one."""
    tool, given = call
    language = conversation.language
    wording = tool.action.wording[language]
    generic = talk()["filler_again" if again else "filler"][language]
    cores = [core for core in wording.do if set(SLOT.findall(core)) <= given.keys()]
    fitting = [text for text in wording.filler if set(SLOT.findall(text)) <= given.keys()]
    if again or source.chance(0.15):
        return source.wording(generic)
    composed = cores and (not fitting or source.chance(0.7))
    text = framed(source, "filler", language, source.pick(cores)) if composed else source.wording(fitting or generic)
    text = fill(text, given, language)
    return text if len(text.split()) <= 12 else source.wording(generic)


def values_for(source: Source, conversation: Conversation, action: Action) -> Json:
    return {slot: value(source, kind, conversation.language) for slot, kind in action.slots.items()}


def results_of(source: Source, conversation: Conversation, action: Action) -> Json:
    return {name: value(source, kind, conversation.language) for name, kind in action.results.items()}


def result_text(source: Source, action: Action, result: Json) -> str:
    """What the tool sends back: mostly JSON, under the table's names or others of the kind."""
    named = {_result_name(source, action, name): item for name, item in result.items()}
    named = named if len(named) == len(result) else result
    if source.chance(0.2):
        return ", ".join(f"{name}: {item}" for name, item in named.items())
    if source.chance(0.08):
        return ", ".join(str(item) for item in named.values())
    return json.dumps(({"ok": True} if source.chance(0.1) else {}) | named, ensure_ascii=False)


def _result_name(source: Source, action: Action, name: str) -> str:
    if name not in action.results or source.chance(0.5):
        return name
    return source.wording(kinds()[action.results[name]].names)
