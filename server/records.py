"""What the stages hand on to one another: frozen, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw the next token; the engine's own defaults where a field has one. Ranges: see `protocol`."""

    max_tokens: int
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
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None  # alternatives per token; 0: the chosen token alone; None: no logprobs
    bad_words: tuple[str, ...] = ()
    allowed_token_ids: tuple[int, ...] = ()
    skip_special_tokens: bool = True


GrammarState = Literal["none", "compiled", "cached"]
ArgumentStyle = Literal["json", "qwen_xml", "glm_xml", "keywords"]


@dataclass(frozen=True, slots=True)
class CallGrammar:
    """How a family of models writes calls: `opening`, calls with `separator` between them, `closing`.

    A call is `begin` NAME `middle` ARGUMENTS `end`.

    trigger: begins every call, and nothing that is spoken; a beginning of `opening + begin`.
    style: of the arguments, as xgrammar's `json_schema` format names it, but for "keywords": `key=value, …`, the values
        JSON, for which it has no name.
    before_words, after_words: what must stand around words that are spoken before the calls.
    in_json: another form that is read as well, for where arguments must match a schema and `style` is not "json".
    """

    trigger: str
    begin: str
    middle: str
    end: str
    opening: str = ""
    separator: str = ""
    closing: str = ""
    style: ArgumentStyle = "json"
    before_words: str = ""
    after_words: str = ""
    in_json: "CallGrammar | None" = None


@dataclass(frozen=True, slots=True)
class FillerPlan:
    """What the server adds to the words before the first call of a turn.

    phrases: by the name of the tool, said as its call begins if the model has said nothing.
    at_once: said before the model's first token; "" for nothing.
    said: by the assistant earlier in the conversation.
    endings: set a sentence apart from one that was said; with the comma before them.
    words_to_end, characters_to_end: of a sentence that leaves room for any of them.
    """

    phrases: Mapping[str, str] = field(default_factory=dict)
    at_once: str = ""
    said: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    words_to_end: int = 0
    characters_to_end: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as the engine takes it."""

    token_ids: list[int]
    sampling: Sampling
    grammar: str | None = None  # EBNF that the whole output must match
    tail: str = ""  # the last characters of the text
    spoken: bool = False  # a system message says that the answers are
    filler: FillerPlan | None = None  # None: nothing need be said before a call
    cache_salt: str | None = None  # prompts of another salt share no KV blocks with this one...
    shared_tokens: int = 0  # ...but for those of so many leading tokens
    priority: int = 0  # lower goes first
    trace_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token that was generated, or that might have been."""

    token_id: int
    token: bytes  # exact bytes; not always UTF-8 by itself
    logprob: float  # natural logarithm, finite


@dataclass(frozen=True, slots=True)
class PositionLogprobs:
    """The token chosen at one position and the most likely ones there, best first."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """What one engine step added to one request.

    text: new text; may be empty while tokens do not form whole characters or a stop string may be beginning.
    prompt_tokens, cached_tokens: of the whole request, the same in every delta.
    finish_reason: set in the last delta and only there.
    """

    text: str
    token_ids: tuple[int, ...]
    prompt_tokens: int
    cached_tokens: int
    logprobs: tuple[PositionLogprobs, ...] = ()
    finish_reason: Literal["stop", "length"] | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Content to speak; `logprobs` belong to the tokens consumed up to here, not yet reported with another event."""

    text: str
    logprobs: tuple[PositionLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thinks, never spoken. Whitespace around a thought is not part of it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call begins: name whole, once."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of the JSON text of a call's arguments."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. `cached_tokens` is a part of `prompt_tokens`."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Warmed:
    """What was made ready for a turn to come. duration: seconds since admission."""

    usage: Usage
    grammar: GrammarState
    duration: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event."""

    reason: FinishReason
    usage: Usage
    logprobs: tuple[PositionLogprobs, ...] = ()
    filler: Literal["model", "phrase"] | None = None  # who spoke before the first call


Event = Text | Reasoning | ToolCall | Arguments | Finish

FinishCause = Literal["stop", "length", "tool_calls", "disconnect", "error", "drain"]
Cause = FinishCause | Literal["crash"]  # the server was killed with the request at work
Filler = Literal["model", "phrase", "none"]


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """How one admitted request ended. Times in seconds since its admission; None for what did not happen.

    usage: what the engine worked through. Of its completion tokens `delivered_tokens` were taken by the transport.
    started_at: seconds since the epoch.
    price_nanos: billionths of the currency of the price list.
    first_clause, tool_name: until the first words that can be spoken, until the name of the first tool.
    output_rate: tokens per second after the first.
    filler: who spoke before the first call; None where nothing was called.
    error_type: of the exception, as on the wire.
    """

    request_id: str
    model: str
    cause: Cause
    usage: Usage
    ttft: float | None
    duration: float
    account: str = ""
    key_id: str = ""
    plan: str = ""
    started_at: float = 0.0
    delivered_tokens: int = 0
    price_nanos: int = 0
    first_clause: float | None = None
    tool_name: float | None = None
    output_rate: float | None = None
    tool_calls: int = 0
    filler: Filler | None = None
    parse_failures: int = 0
    structured_failures: int = 0
    error_type: str | None = None
