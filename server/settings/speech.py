"""What is said."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from server.settings.base import Section, Strings


def _off(value: object) -> object:
    return "off" if value is False else value


Switch = BeforeValidator(_off)  # YAML reads a bare `off` as false


class SpeechSettings(Section):
    """What may stand in `content`, beside what marks a call or a thought of the model's own family, which never may."""

    guard: Annotated[Literal["voice", "always", "off"], Switch] = Field(
        "voice",
        description="Where JSON, tags (SSML too) and special tokens of any kind are left out: in turns that offer "
        "tools or have a system message for a voice agent, in all turns or in none. An answer whose `response_format` "
        "asks for JSON is never touched.",
    )
    strip_markdown: bool = Field(False, description="There leave out the signs of Markdown as well.")


def _patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"`{value}` is not a regular expression: {error}") from None
    return values


Patterns = Annotated[Strings, AfterValidator(_patterns)]


class FillerSettings(Section):
    """Words before a tool call. A request may choose `mode` and `strategy` for itself."""

    mode: Annotated[Literal["auto", "always", "off"], Switch] = Field(
        "auto", description="auto: where a system message asks for words before a call, or declares a voice agent."
    )
    strategy: Literal["grammar", "phrase"] = Field(
        "grammar", description="The model's own sentence, or one of the server's at the cost of no token."
    )
    min_words: int = Field(3, ge=1, le=6, description="Of the model's sentence.")
    max_words: int = Field(15, le=40, description="At least 5 more than min_words.")
    max_characters: int = Field(
        100, le=400, description="The stop included; at least 30, and 10 for each of min_words."
    )
    asks: Patterns = Field((), description="Regular expressions for system messages that ask for words, for `auto`...")
    forbids: Patterns = Field((), description="...and for those that forbid them: these come first.")
    shipped_wordings: bool = Field(True, description="The server's own list counts where none of these is found.")

    @model_validator(mode="after")
    def _have_room(self) -> Self:
        if self.max_words < self.min_words + 5 or self.max_characters < 30 + 10 * self.min_words:
            raise ValueError("max_words or max_characters leave no room beside min_words")
        return self
