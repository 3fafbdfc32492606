"""The chat template of a model, and what it puts up with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from server.errors import Detail, InvalidRequest

Turn = dict[str, object]  # a message as templates read it

_CALL_ID = "call0prob"  # nine letters and digits: what the strictest templates ask of an id


class ChatTemplate:
    """A Jinja template, run in transformers' sandbox.

    source: None for the model's own.
    options: further variables of the template, chosen by the operator, never by a caller.

    Raises:
        ValueError: the model has no template and none is given.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, source: str | None = None, options: Mapping[str, object] | None = None
    ) -> None:
        self._apply: Any = tokenizer.apply_chat_template
        self._options = dict(options or {})
        self.source: str = tokenizer.get_chat_template(source)

    def render(self, turns: Sequence[Turn], tools: Sequence[object] = (), prompted: bool = True) -> str:
        """The text that the model continues as the assistant; what of it does not depend on that if not `prompted`.

        Raises:
            InvalidRequest: the template does not take this conversation; with its own words.
        """
        try:
            return str(
                self._apply(
                    list(turns),
                    tools=list(tools) or None,
                    chat_template=self.source,
                    add_generation_prompt=prompted,
                    tokenize=False,
                    **self._options,
                )
            )
        except Exception as error:  # a template is foreign code: whatever it raises, this conversation was the cause
            detail = Detail("custom", f"The model's chat template refuses the conversation: {error}", ("messages",))
            raise InvalidRequest.of([detail]) from error


@dataclass(frozen=True, slots=True)
class Traits:
    """What a template takes.

    system: a system message at all. systems: several, anywhere.
    repeats: consecutive messages of one role. assistant_first: a conversation that the assistant begins.
    parsed_arguments: the arguments of a tool call as an object, not as JSON text.
    """

    system: bool
    systems: bool
    repeats: bool
    assistant_first: bool
    parsed_arguments: bool


def probe(template: ChatTemplate) -> Traits:
    """Find out by trying."""
    return Traits(
        system=_takes(template, "system", "user"),
        systems=_takes(template, "system", "system", "user")
        and _takes(template, "system", "user", "assistant", "system", "user"),
        repeats=_takes(template, "user", "user") and _takes(template, "user", "assistant", "assistant", "user"),
        assistant_first=_takes(template, "assistant", "user"),
        parsed_arguments=_parses_arguments(template),
    )


def _takes(template: ChatTemplate, *roles: str) -> bool:
    """Whether all the texts come out, in their order."""
    texts = [f"probe{index}text" for index in range(len(roles))]
    turns: list[Turn] = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    rendered = _tried(template, turns)
    places = [rendered.find(text) for text in texts]
    return -1 not in places and places == sorted(places)


def _parses_arguments(template: ChatTemplate) -> bool:
    """An object must come out as JSON, or in a notation of the template's own, but not as Python would print it."""
    call = {"id": _CALL_ID, "type": "function", "function": {"name": "f", "arguments": {"probe_key": "probe_value"}}}
    rendered = _tried(template, [_USER, {"role": "assistant", "content": "", "tool_calls": [call]}])
    return "probe_key" in rendered and "'probe_key'" not in rendered


_USER: Turn = {"role": "user", "content": "Hello"}


def _tried(template: ChatTemplate, turns: Sequence[Turn]) -> str:
    try:
        return template.render(turns)
    except InvalidRequest:
        return ""
