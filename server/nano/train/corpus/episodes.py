"""What can happen in a call: a request, a question back, two requests at once, a chain, a refusal, small talk."""

from server.nano.train.corpus.actions import domains, invented, talk
from server.nano.train.corpus.conversation import Conversation
from server.nano.train.corpus.phrases import (
    fill,
    filler_for,
    request_for,
    request_text,
    result_text,
    results_of,
    said_result,
    values_for,
)
from server.nano.train.corpus.requests import composed_request
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.tools import Json, Tool
from server.nano.train.corpus.values import Value, kinds

REPLIES = {
    "en": ["{}", "{}.", "It's {}.", "{}, please.", "That would be {}.", "Sorry, {}.", "Sure, {}.", "Oh, {}."],
    "hi": ["{}", "{}।", "जी, {}", "जी, {}।", "हाँ, {}।"],
    "es": ["{}", "{}.", "Es {}.", "{}, por favor.", "Sí, {}.", "Perdón, {}."],
}
THEN = {
    "en": [
        "{} With that number: {}",
        "{} Then use that number. {}",
        "{} And when you have the number, {}",
        "{} After that, {}",
        "{} And then: {}",
        "{} When you have it, {}",
        "{} Once that is done, {}",
    ],
    "hi": ["{} फिर उस नंबर से: {}", "{} उसके बाद {}", "{} और फिर {}"],
    "es": ["{} Y con ese número: {}", "{} Después, {}", "{} Y luego: {}"],
}
AND = {
    "en": [
        "{} And {}",
        "{} Also, {}",
        "{} {}",
        "{} And then {}",
        "{} One more thing. {}",
        "{} Besides that, {}",
        "{} Oh, and {}",
    ],
    "hi": ["{} और {}", "{} {}", "{} साथ ही {}"],
    "es": ["{} Y {}", "{} {}", "{} También: {}"],
}


def episode(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    episodes = (_call, _clarify, _parallel, _chain, no_tool, small_talk)
    source.rng.choices(episodes, weights=(40, 16, 13, 11, 12, 8))[0](source, conversation, tools)


def _call(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    tool = source.pick(tools)
    given = values_for(source, conversation, tool.action)
    ask = request_for(source, conversation, tool, given, complete=True)
    if ask is None:
        return small_talk(source, conversation, tools)
    conversation.say("user", ask[0])
    _use(source, conversation, [(tool, ask[1])])


def _clarify(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    """The request lacks a required argument: ask for it, once per argument, then call."""
    tool = source.pick(tools)
    language = conversation.language
    values = values_for(source, conversation, tool.action)
    ask = request_for(source, conversation, tool, values, complete=False)
    if ask is None:
        return _call(source, conversation, tools)
    conversation.say("user", ask[0])
    given = ask[1]
    for slot in [slot for slot in tool.parameters if slot in tool.action.required and slot not in given]:
        conversation.answer("clarify", source.pick(kinds()[tool.action.slots[slot]].question[language]))
        given[slot] = values[slot]
        replies = REPLIES[language] if source.chance(0.6) else kinds()[tool.action.slots[slot]].told[language]
        conversation.say("user", fill(source.wording(replies).replace("{}", f"{{{slot}}}"), values, language))
    _use(source, conversation, [(tool, given)])


def _parallel(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    """Two requests in one breath, two calls in one turn."""
    ask = two_at_once(source, conversation, tools)
    if ask is None:
        return _call(source, conversation, tools)
    conversation.say("user", ask[0])
    _use(source, conversation, ask[1])


def two_at_once(
    source: Source, conversation: Conversation, tools: list[Tool]
) -> tuple[str, list[tuple[Tool, Json]]] | None:
    """Two requests to one tool or to two, joined, and the calls that they ask for; None where one cannot be put."""
    texts, calls = [], []
    first = source.pick(tools)
    for tool in (first, first if source.chance(0.6) else source.pick(tools)):
        ask = request_for(source, conversation, tool, values_for(source, conversation, tool.action), complete=True)
        if ask is None:
            return None
        texts.append(ask[0])
        calls.append((tool, ask[1]))
    return source.wording(AND[conversation.language]).format(*texts), calls


def _chain(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    """One tool gives a number that the next one needs."""
    language = conversation.language
    makers = [tool for tool in tools if tool.action.gives_code]
    users = [tool for tool in tools if tool.action.needs_only_code]
    if not makers or not users:
        return _call(source, conversation, tools)
    maker, user = source.pick(makers), source.pick(users)
    first = request_for(source, conversation, maker, values_for(source, conversation, maker.action), complete=True)
    then = composed_request(source, user.action, language, set())
    if first is None or then is None or maker is user:
        return _call(source, conversation, tools)
    conversation.say("user", source.wording(THEN[language]).format(first[0], then))
    results = results_of(source, conversation, maker.action)
    _invoke(source, conversation, [(maker, first[1])], [results], again=False)
    number = next(results[name] for name, kind in maker.action.results.items() if kind == "code")
    _use(source, conversation, [(user, {user.action.required[0]: number})], again=True)


def no_tool(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    """A request for something no offered tool does."""
    language = conversation.language
    offered = {name for tool in tools for name in tool.action.names}
    others = [action for actions in domains().values() for action in actions if not offered & set(action.names)]
    action = invented(source) if language == "en" and source.chance(0.35) else source.pick(others)
    given = values_for(source, conversation, action)
    text = request_text(source, action, language, complete=source.chance(0.75))
    if text is None:
        return small_talk(source, conversation, tools)
    conversation.say("user", fill(text, given, language))
    conversation.answer("no_tool", source.wording(talk()["no_tool"][language]))


def small_talk(source: Source, conversation: Conversation, tools: list[Tool]) -> None:
    pair = source.pick(talk()["smalltalk"][conversation.language])
    conversation.say("user", source.wording(pair["user"]))  # type: ignore[index]  # a table of pairs, not of texts
    conversation.answer("small_talk", pair["agent"])  # type: ignore[index]  # likewise


def _use(source: Source, conversation: Conversation, calls: list[tuple[Tool, Json]], again: bool = False) -> None:
    """Call the tools, hear their results, say them. One result in twelve is an error."""
    results = [results_of(source, conversation, tool.action) for tool, _ in calls]
    failed = len(calls) == 1 and source.chance(0.08)
    _invoke(source, conversation, calls, [{"error": _error(source)}] if failed else results, again)
    if failed:
        conversation.answer("failed", source.wording(talk()["failed"][conversation.language]))
        return
    said = [
        said_result(source, conversation, tool.action, given | result)
        for (tool, given), result in zip(calls, results, strict=True)
    ]
    conversation.answer("result", " ".join(text for text, _ in said), [fact for _, facts in said for fact in facts])


def _invoke(
    source: Source, conversation: Conversation, calls: list[tuple[Tool, Json]], results: list[Json], again: bool
) -> None:
    filler = filler_for(source, conversation, calls[0], again) if conversation.wants_filler else None
    made = [tool.call(given) | {"id": f"call_{source.digits(6)}"} for tool, given in calls]
    conversation.answer("call", filler, tool_calls=made)
    for (tool, _), call, result in zip(calls, made, results, strict=True):
        conversation.say("tool", result_text(source, tool.action, result), tool_call_id=call["id"])


def _error(source: Source) -> Value:
    return source.pick(["not found", "timeout", "no such number", "service unavailable", "unknown", "failed"])
