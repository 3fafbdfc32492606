"""A conversation in the making: chat messages, each of the assistant's with a label."""

from dataclasses import dataclass, field

from server.nano.train.corpus.tools import Json


@dataclass
class Conversation:
    """Chat messages in OpenAI's shape and the offered tools.

    `kinds[i]` says what message i, an assistant's, is an example of; `facts[i]` are the values that its text must hold.
    """

    language: str = "en"
    wants_filler: bool = False
    tools: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)
    facts: dict[int, list[str]] = field(default_factory=dict)

    def say(self, role: str, content: str | None, **more: object) -> None:
        self.messages.append({"role": role, "content": content, **more})

    def answer(self, kind: str, content: str | None, facts: list[str] | None = None, **more: object) -> None:
        self.kinds[len(self.messages)] = kind
        self.facts[len(self.messages)] = facts or []
        self.say("assistant", content, **more)
