"""Sentences of one conversation: wordings of the tables with their slots filled by its values."""

import json
import re

from server.nano.train.corpus.actions import Action, Wording, talk
from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.tools import Json, Tool
from server.nano.train.corpus.values import kinds, value

SLOT = re.compile(r"\{(\w+)\}")
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
    """A request whose wording names all required slots (or lacks one), with the slots that it names."""
    wording: Wording = tool.action.wording[conversation.language]
    required = set(tool.action.required)
    fitting = [t for t in source.side(wording.ask) if (required <= set(SLOT.findall(t))) is complete]
    if not fitting:
        fitting = [t for t in wording.ask if (required <= set(SLOT.findall(t))) is complete]
    if not fitting:
        return None
    text = source.pick(fitting)
    return fill(text, values, conversation.language), {slot: values[slot] for slot in SLOT.findall(text)}


def said_result(source: Source, conversation: Conversation, action: Action, known: Json) -> tuple[str, list[str]]:
    """The sentence that reads a result back, and the values in it."""
    wording = action.wording[conversation.language]
    fitting = [t for t in source.side(wording.answer) if set(SLOT.findall(t)) <= known.keys()]
    text = source.pick(fitting or [t for t in wording.answer if set(SLOT.findall(t)) <= known.keys()])
    return fill(text, known, conversation.language), [str(known[slot]) for slot in SLOT.findall(text)]


def filler_for(source: Source, conversation: Conversation, call: tuple[Tool, Json], again: bool) -> str:
    """A short sentence to say before a call, about the call or a general one."""
    tool, given = call
    language = conversation.language
    fitting = [t for t in tool.action.wording[language].filler if set(SLOT.findall(t)) <= given.keys()]
    generic = talk()["filler_again" if again else "filler"][language]
    table = generic if not fitting or again or source.chance(0.35) else fitting
    text = fill(source.wording(table), given, language)
    return text if len(text.split()) <= 12 else source.wording(talk()["filler"][language])


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
