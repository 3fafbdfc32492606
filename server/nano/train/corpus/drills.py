"""Copying and choosing, taught short and dense: repeat a phrase, look up a key, turn pairs into JSON, call what is
named, find the tool that a request is about."""

import json

from server.nano.train.corpus.actions import SLOT, domains, invented
from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.episodes import no_tool, two_at_once
from server.nano.train.corpus.phrases import request_for, values_for
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.tools import Tool, make_tool
from server.nano.train.corpus.values import Value, value

KINDS = ("place", "person", "code", "amount", "count", "product", "time", "phone", "address")
CHOOSING, CALLING = 0.35, 0.45  # shares; the rest copies
REFUSED = 0.15
BY_NAME, AT_ONCE = 0.25, 0.3


def drill(source: Source) -> Conversation:
    """One short exercise with some questions."""
    which = source.rng.random()
    if which < CHOOSING:
        return _choices(source)
    if which < CHOOSING + CALLING:
        return _calls(source)
    conversation = Conversation(source.rng.choices(("en", "hi", "es"), weights=(80, 10, 10))[0])
    pairs = {
        source.word(): value(source, source.pick(KINDS), conversation.language) for _ in range(source.rng.randint(2, 6))
    }
    source.pick((_repeat, _look_up, _to_json))(source, conversation, pairs)
    return conversation


def _choices(source: Source) -> Conversation:
    """Many requests to some tools without arguments, and to none of them: which tool, in any words and language."""
    count = source.rng.choices((2, 3, 4, 5), weights=(20, 25, 25, 30))[0]
    conversation, tools = _offer(source, count, bare=True)
    for _ in range(source.rng.randint(5, 10)):
        if source.chance(REFUSED):
            no_tool(source, conversation, tools)
        else:
            _ask_in_words(source, conversation, source.pick(tools), complete=source.chance(0.7))
    return conversation


def _calls(source: Source) -> Conversation:
    """Tools asked for with their arguments, by name or in words, one or two at once: which tool, what goes where."""
    count = source.rng.choices((1, 2, 3, 4, 5), weights=(10, 35, 25, 15, 15))[0]
    conversation, tools = _offer(source, count)
    for _ in range(source.rng.randint(4, 8)):
        how = source.rng.random()
        if how < BY_NAME and conversation.language == "en":
            _ask_by_name(source, conversation, source.pick(tools))
        elif how > 1 - AT_ONCE:
            _ask_for_two(source, conversation, tools)
        else:
            _ask_in_words(source, conversation, source.pick(tools))
    return conversation


def _offer(source: Source, count: int, bare: bool = False) -> tuple[Conversation, list[Tool]]:
    """A conversation in some language in which so many tools are offered; bare ones take no arguments."""
    language = source.rng.choices(("en", "hi", "es"), weights=(76, 12, 12))[0]
    actions = source.rng.sample([action for actions in domains().values() for action in actions], count)
    if language == "en":
        actions = [invented(source) if source.chance(0.4) else action for action in actions]
    tools = [make_tool(source, action, bare) for action in actions]
    return Conversation(language, tools=[tool.schema for tool in tools]), tools


def _ask_in_words(source: Source, conversation: Conversation, tool: Tool, complete: bool = True) -> None:
    values = values_for(source, conversation, tool.action)
    request = request_for(source, conversation, tool, values, complete)
    if request is not None:
        conversation.say("user", request[0])
        conversation.answer("drill", None, tool_calls=[tool.call(request[1])])


def _ask_for_two(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    request = two_at_once(source, conversation, tools)
    if request is not None:
        conversation.say("user", request[0])
        conversation.answer("drill", None, tool_calls=[tool.call(given) for tool, given in request[1]])


def _ask_by_name(source: Source, conversation: Conversation, tool: Tool) -> None:
    kinds = tool.action.slots
    wanted = [slot for slot in tool.parameters if slot in tool.action.required or source.chance(0.5)]
    given: dict[str, object] = {slot: value(source, kinds[slot], "en") for slot in wanted}
    told = [f"{tool.parameters[slot]}: {given[slot]}" for slot in wanted]
    source.rng.shuffle(told)
    cores = [core for core in (*tool.action.wording["en"].do, *tool.action.wording["en"].what) if not SLOT.search(core)]
    what = source.pick(cores) if source.chance(0.75) else tool.schema["function"].get("description", tool.name)
    conversation.say("user", ". ".join([what.removesuffix("."), *told]))
    conversation.answer("drill", None, tool_calls=[tool.call(given)])


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
