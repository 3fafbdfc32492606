"""The smaller members that are more than a scalar: the prompt of a completion, the options of a stream."""

from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, Tag
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from server.protocol.types import ARRAY, OBJECT, STRING, Documented, Flag, NonEmpty, by_shape


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """`include_usage`: one last chunk with the token counts. Without effect where nothing is streamed."""

    include_usage: bool = False


class _WireOptions(TypedDict):
    include_usage: NotRequired[Flag | None]


def _options(wire: _WireOptions) -> StreamOptions:
    return StreamOptions(bool(wire.get("include_usage")))


Options = Annotated[_WireOptions, AfterValidator(_options)]


FillerMode = Literal["auto", "always", "off"]
FillerStrategy = Literal["grammar", "phrase"]


@dataclass(frozen=True, slots=True)
class FillerOptions:
    """Words before a tool call; None: as the server is configured."""

    mode: FillerMode | None = None
    strategy: FillerStrategy | None = None


class _WireFiller(TypedDict):
    mode: NotRequired[FillerMode | None]
    strategy: NotRequired[FillerStrategy | None]


def _filler(wire: FillerMode | _WireFiller) -> FillerOptions:
    return FillerOptions(wire) if isinstance(wire, str) else FillerOptions(**wire)


Filler = Annotated[
    Annotated[FillerMode, Tag(STRING)] | Annotated[_WireFiller, Tag(OBJECT)],
    by_shape("'auto', 'always', 'off' or an object with mode and strategy"),
    AfterValidator(_filler),
]


def _one_text(prompts: list[object]) -> list[object]:
    if any(isinstance(prompt, int | float | list) for prompt in prompts):
        raise PydanticCustomError("custom", "Token ids are not accepted as a prompt, only text")
    if len(prompts) != 1:
        raise PydanticCustomError("custom", "Exactly one prompt is accepted, received {count}", {"count": len(prompts)})
    return prompts


def _only(prompt: str | list[str]) -> str:
    return prompt if isinstance(prompt, str) else prompt[0]


_One = Annotated[list[NonEmpty], BeforeValidator(_one_text), Documented({"minItems": 1, "maxItems": 1})]
TextPrompt = Annotated[
    Annotated[NonEmpty, Tag(STRING)] | Annotated[_One, Tag(ARRAY)],
    by_shape("string or array of one string"),
    AfterValidator(_only),
]
