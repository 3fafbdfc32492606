"""The context window: prompt and output together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from server.errors import ContextLengthExceeded, Detail, InvalidRequest

Overflow = Literal["refuse", "clamp"]
Path = tuple[str, ...]

# A text of more characters per token of the window than this is not read whole before it is refused.
_GENEROUS = 16


class PromptFarTooLong(ContextLengthExceeded):
    """Refused after a part of it was read: `prompt_tokens` is what that part has."""

    def __init__(self, prompt_tokens: int, max_tokens: int, limit: int, path: Path) -> None:
        super().__init__(prompt_tokens, max_tokens, limit, path)
        message = (
            f"The context window is {limit} tokens: the prompt has more than {prompt_tokens} and {max_tokens} were "
            f"asked for as output, more than {prompt_tokens + max_tokens - limit} too many."
        )
        detail = Detail("context_length_exceeded", message, path, self.details[0].numbers)
        InvalidRequest.__init__(self, message, [detail])


@dataclass(frozen=True, slots=True)
class Window:
    """`limit`: tokens of prompt and output together. `overflow`: refuse too much output, or clamp it."""

    limit: int
    overflow: Overflow = "refuse"

    def screen(self, text: str, count: Callable[[str], int], asked: int | None, path: Path) -> None:
        """Refuse at a bounded cost what is far too long. `count`: tokens of a text.

        Raises:
            PromptFarTooLong: the beginning alone is more than twice as long as the window.
        """
        if len(text) <= _GENEROUS * self.limit:
            return
        tokens = count(text[: _GENEROUS * self.limit])
        if tokens > 2 * self.limit:
            raise PromptFarTooLong(tokens, asked or 1, self.limit, path)

    def room(self, prompt_tokens: int, asked: int | None, prompt_path: Path, output_path: Path) -> int:
        """Most tokens to generate. `asked`: None for as many as there is room for.

        Raises:
            ContextLengthExceeded: at `prompt_path` if the prompt leaves no room at all, else at `output_path`.
        """
        room = self.limit - prompt_tokens
        if room < 1:
            raise ContextLengthExceeded(prompt_tokens, asked or 1, self.limit, prompt_path)
        if asked is None or (asked > room and self.overflow == "clamp"):
            return room
        if asked > room:
            raise ContextLengthExceeded(prompt_tokens, asked, self.limit, output_path)
        return asked
