"""Tool definitions for actions: names and schemas are drawn anew in every conversation, so they can only be copied."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from server.nano.train.corpus.actions import SLOT, Action
from server.nano.train.corpus.requests import framed
from server.nano.train.corpus.source import Source
from server.nano.train.corpus.values import kinds

NUMBERS = {"count": "integer", "degrees": "integer", "amount": "number"}

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """An action under the name of this conversation. `parameters` maps each slot to its parameter name."""

    action: Action
    name: str
    parameters: dict[str, str]
    schema: Json

    def call(self, given: dict[str, object]) -> Json:
        """The tool call, in OpenAI's shape but with parsed arguments, for the slots that have a value."""
        arguments = {name: given[slot] for slot, name in self.parameters.items() if slot in given}
        return {"type": "function", "function": {"name": self.name, "arguments": arguments}}


def make_tool(source: Source, action: Action, bare: bool = False) -> Tool:
    """A tool for `action`; a bare one takes no arguments."""
    name, described = _tool_name(source, action)
    parameters: dict[str, str] = {}
    properties: dict[str, Json] = {}
    slots = [] if bare else list(action.slots)
    if source.chance(0.3):
        source.rng.shuffle(slots)
    for slot in slots:
        parameter, schema = _parameter(source, slot, action.slots[slot], set(properties))
        parameters[slot], properties[parameter] = parameter, schema
    function: Json = {"name": name}
    if described or source.chance(0.85):
        function["description"] = _about(source, action)
    required = [parameters[slot] for slot in parameters if slot in action.required]
    function["parameters"] = {"type": "object", "properties": properties, "required": required}
    return Tool(action, name, parameters, {"type": "function", "function": function})


def _about(source: Source, action: Action) -> str:
    cores = [core for core in action.wording["en"].do if not SLOT.search(core)]
    return framed(source, "about", "en", source.pick(cores)) if source.chance(0.7) else source.wording(action.about)


def _tool_name(source: Source, action: Action) -> tuple[str, bool]:
    """The name, and whether it says nothing, so that a description has to."""
    base = source.wording(action.names)
    style = source.rng.random() if not source.held_out else 0.35 + 0.65 * source.rng.random()
    if style < 0.35:
        return base, False
    if style < 0.6:
        return f"{base}_{source.word()}", False
    if style < 0.75:
        return f"{source.word()}_{base}", False
    if style < 0.85:
        first, *rest = f"{source.word()}_{base}".split("_")
        return first + "".join(part.capitalize() for part in rest), False
    return f"{source.word()}_{source.word()}", True


def _parameter(source: Source, slot: str, kind: str, taken: set[str]) -> tuple[str, Json]:
    row = kinds()[kind]
    candidates = [source.pick(row.names), slot, source.word()]
    names = [candidates[source.rng.choices(range(3), weights=(60, 25, 15))[0]], *candidates, f"{slot}_{source.word()}"]
    name = next(name for name in names if name not in taken)
    schema: Json = {"type": NUMBERS.get(kind, "string")}
    if name == candidates[2] or source.chance(0.35):
        schema["description"] = source.wording(row.about)
    return name, schema
