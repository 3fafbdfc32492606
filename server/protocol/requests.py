"""Valid requests. The names and defaults are those of the table in `fields`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.protocol.limits import COMPLETION_TOKENS
from server.protocol.messages import Message
from server.protocol.options import FillerOptions, StreamOptions
from server.protocol.tools import ResponseFormat, Tool, ToolChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingFields:
    """What both routes take. Ranges: see `fields`."""

    model: str
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: tuple[int, ...] = ()
    bad_words: tuple[str, ...] = ()
    min_tokens: int = 0
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    stream: bool = False
    stream_options: StreamOptions = field(default_factory=StreamOptions)
    user: str | None = None
    service_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(SamplingFields):
    """POST …/chat/completions."""

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    filler: FillerOptions = field(default_factory=FillerOptions)
    logprobs: bool = False
    top_logprobs: int | None = None

    @property
    def output_limit(self) -> int | None:
        """Most tokens to generate; None: as many as the window has room for."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def output_path(self) -> tuple[str, ...]:
        """The member that a request over the window has to change."""
        if self.max_completion_tokens is not None:
            return ("max_completion_tokens",)
        return ("messages",) if self.max_tokens is None else ("max_tokens",)

    @property
    def alternatives(self) -> int | None:
        """Logprobs per position besides that of the chosen token; None: no logprobs."""
        return (self.top_logprobs or 0) if self.logprobs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(SamplingFields):
    """POST …/completions."""

    prompt: str
    max_tokens: int = COMPLETION_TOKENS
    logprobs: int | None = None

    @property
    def output_limit(self) -> int:
        """Most tokens to generate."""
        return self.max_tokens

    @property
    def output_path(self) -> tuple[str, ...]:
        """The member that a request over the window has to change."""
        return ("max_tokens",)

    @property
    def alternatives(self) -> int | None:
        """Logprobs per position besides that of the chosen token; None: no logprobs."""
        return self.logprobs
