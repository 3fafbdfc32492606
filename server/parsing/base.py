"""What every parser promises.

A parser turns the text that a model writes into events, piece by piece.

- Any split of one text gives the same result: the same order of speech and calls, the same names, the same text.
- It takes whatever a model writes and never raises.
- Its time is linear in the length of the text; what it keeps back is bounded, but for whitespace and what a call may
  yet need.
- `Text` is speech alone: no markup, no special token, no half of a tag. Whitespace is spoken together with what follows
  it, so that none is spoken before a call; speech that something unspoken has interrupted goes on in a new line.
- A `ToolCall` comes once for each call, when the name is whole and the arguments have begun: indices 0, 1, 2, …
- The `Arguments` of a call that the model completed are one JSON object: its own text, repaired where it does not parse
  but is plain enough. `{}` where it gave none.
- `Reasoning` is what the model thinks, piece by piece; nothing of it is ever in a `Text`.
- A call that it did not complete, cut short or malformed, is dropped where it was not yet announced. Otherwise its
  arguments are left open, so that they do not parse: clients then skip the call (pipecat) or tell the model (LiveKit).
  Closed, they would parse, and half a request would be carried out.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from server.records import Arguments, Reasoning, Text, ToolCall

ParserEvent = Text | Reasoning | ToolCall | Arguments
NewId = Callable[[], str]


class Parser(Protocol):
    """One answer of a model on its way to the client."""

    @property
    def failures(self) -> int:
        """Calls that the model got wrong beyond repair."""

    @property
    def cut(self) -> bool:
        """After `finish`: the text ended in the middle of a call."""

    def feed(self, text: str) -> Sequence[ParserEvent]:
        """What is certain now that `text` has been written."""

    def finish(self, *, cut_off: bool = False) -> Sequence[ParserEvent]:
        """The rest. Nothing may be fed afterwards.

        cut_off: there was no room for more, so that a less-than sign at the end, where a tag could stand, begins one.
        """


def random_id() -> str:
    """A call's id in OpenAI's manner: 96 random bits."""
    return "call_" + secrets.token_hex(12)
