"""System prompts that the operator has declared to be everybody's."""

from collections.abc import Sequence
from itertools import takewhile

from server.errors import InvalidRequest
from server.prompt.encode import Encoder
from server.prompt.render import Renderer
from server.protocol import Message
from server.settings import SettingsError

# What follows a text may change its last tokens: the shared ones are those that stand whatever follows.
TAILS = ("", " a", "a", ".", "\n", "\n\n", "1")


class SharedPrompts:
    """The token ids with which every conversation under one of the declared prompts begins.

    Raises:
        SettingsError: the template does not write one of the texts as it is.
    """

    def __init__(self, texts: Sequence[str], renderer: Renderer, encoder: Encoder) -> None:
        self._prefixes = [_prefix(text.strip(), renderer, encoder) for text in texts]

    def length(self, token_ids: Sequence[int]) -> int:
        """How many leading tokens of a prompt are the operator's: all of a declared prompt's, or none."""
        return max((len(ids) for ids in self._prefixes if token_ids[: len(ids)] == ids), default=0)


def _prefix(text: str, renderer: Renderer, encoder: Encoder) -> list[int]:
    seams = encoder.seams()
    try:
        rendered = renderer.render([Message("system", text), Message("user", "Hello")], (), seams)
    except InvalidRequest:
        rendered = ""
    if seams.used or not text or text not in rendered:
        raise SettingsError(f"`admission.shared_prompts`: the chat template does not write `{text[:40]}` as it is")
    until_then = rendered[: rendered.index(text) + len(text)]
    readings = [encoder.rendered(until_then + tail, seams) for tail in TAILS]
    return [ids[0] for ids in takewhile(lambda ids: len(set(ids)) == 1, zip(*readings, strict=False))]
