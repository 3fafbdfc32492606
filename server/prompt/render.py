"""Messages to text: in the form that the template takes, the caller's strings kept apart from its markup."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from server.prompt.markers import Seams
from server.prompt.template import ChatTemplate, Traits, Turn, probe
from server.protocol import Message, Tool, ToolCallIn

_BLANK_LINE = "\n\n"
_TURN_BEFORE_THE_FIRST = Message("user", "")


class Renderer:
    """A template and what it was found to take. Every documented conversation comes out, merged if need be."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._traits = probe(template)

    def render(self, messages: Sequence[Message], tools: Sequence[Tool], seams: Seams, prompted: bool = True) -> str:
        """The prompt as text, with seams in it where the caller's strings hold markers.

        prompted: with what makes the model answer.

        Raises:
            InvalidRequest: the template refuses the conversation.
        """
        fitting = fit(messages, self._traits)
        turns = [_turn(message, seams, self._traits.parsed_arguments) for message in fitting]
        return self._template.render(turns, [_tool(tool, seams) for tool in tools], prompted)


def fit(messages: Sequence[Message], traits: Traits) -> list[Message]:
    """The same conversation in a form that the template takes."""
    fitting = list(messages)
    if not traits.systems:
        fitting = _system_first(fitting)
    if not traits.system:
        fitting = _without_system(fitting)
    if not traits.repeats:
        fitting = list(_without_repeats(fitting))
    if not traits.assistant_first:
        fitting = _with_user_first(fitting)
    return fitting


def _system_first(messages: Sequence[Message]) -> list[Message]:
    systems = [message for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    return [_joined(systems), *others] if systems else others


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """A template that knows no system message is told with the first words of the user."""
    if not messages or messages[0].role != "system":
        return list(messages)
    told, *others = messages
    first = next((message for message in others if message.role == "user"), None)
    if others and others[0] is first:
        return [_joined([replace(told, role="user"), first]), *others[1:]]
    return [replace(told, role="user"), *others]


def _without_repeats(messages: Iterable[Message]) -> Iterator[Message]:
    """Results of tools stay apart: each answers a call of its own."""
    for role, run in groupby(messages, key=lambda message: message.role):
        group = list(run)
        yield from group if role == "tool" else [_joined(group)]


def _with_user_first(messages: Sequence[Message]) -> list[Message]:
    at = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    if at < len(messages) and messages[at].role == "assistant":
        return [*messages[:at], _TURN_BEFORE_THE_FIRST, *messages[at:]]
    return list(messages)


def _joined(messages: Sequence[Message]) -> Message:
    texts = [message.content for message in messages if message.content]
    calls = tuple(call for message in messages for call in message.tool_calls)
    return replace(messages[-1], content=_BLANK_LINE.join(texts), tool_calls=calls)


def _turn(message: Message, seams: Seams, parsed_arguments: bool) -> Turn:
    """Content is always a string: templates concatenate it."""
    turn: Turn = {"role": message.role, "content": seams.sew(message.content or "")}
    if message.name is not None:
        turn["name"] = seams.sew(message.name)
    if message.tool_call_id is not None:
        turn["tool_call_id"] = seams.sew(message.tool_call_id)
    if message.reasoning:
        turn["reasoning_content"] = seams.sew(message.reasoning)
    if message.tool_calls:
        turn["tool_calls"] = [_call(call, seams, parsed_arguments) for call in message.tool_calls]
    return turn


def _call(call: ToolCallIn, seams: Seams, parsed: bool) -> Turn:
    arguments = seams.sew_all(call.arguments) if parsed else seams.sew(json.dumps(call.arguments, ensure_ascii=False))
    function = {"name": seams.sew(call.name), "arguments": arguments}
    return {"id": seams.sew(call.id), "type": "function", "function": function}


def _tool(tool: Tool, seams: Seams) -> Turn:
    """With every member, given or not: templates read them all."""
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {
        "name": seams.sew(tool.name),
        "description": seams.sew(tool.description or ""),
        "parameters": seams.sew_all(parameters),
    }
    return {"type": "function", "function": function}
