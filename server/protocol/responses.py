"""The answers, for the OpenAPI document; `api` writes them without these classes.

Members that are None here are null or absent on the wire, as said beside them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FinishReason = Literal["stop", "length", "tool_calls"]
Speaker = Literal["model", "phrase"]

WHO_SPOKE = "Whose the words before a tool call are: the model's, or the server's. Absent where there are none."


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class CachedTokens(_Answer):
    cached_tokens: int = Field(ge=0, description="Those of the prompt that were in the prefix cache.")


class UsageReport(_Answer):
    prompt_tokens: int = Field(ge=0, description="Cached ones included.")
    completion_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0, description="prompt_tokens + completion_tokens.")
    prompt_tokens_details: CachedTokens


class TopLogprob(_Answer):
    token: str
    logprob: float = Field(le=0)
    bytes: list[Annotated[int, Field(ge=0, le=255)]]


class ContentLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(_Answer):
    content: list[ContentLogprob] | None
    refusal: None = None


class CalledFunction(_Answer):
    name: str
    arguments: str = Field(description="A JSON object as text.")


class CalledTool(_Answer):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(_Answer):
    role: Literal["assistant"] = "assistant"
    content: str | None
    reasoning_content: str | None = Field(None, description="What the model thought; absent where it did not think.")
    tool_calls: list[CalledTool] | None = None
    x_filler: Speaker | None = Field(None, description=WHO_SPOKE)


class ChatChoice(_Answer):
    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason


class _Identified(_Answer):
    created: int = Field(description="Unix time in seconds.")
    model: str
    system_fingerprint: str | None = None


class ChatCompletion(_Identified):
    id: str = Field(pattern="^chatcmpl-")
    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice] = Field(min_length=1, max_length=1)
    usage: UsageReport


class Warming(_Answer):
    """What the next turn of the conversation will find ready."""

    id: str = Field(pattern="^warm-")
    object: Literal["chat.completion.warm"] = "chat.completion.warm"
    created: int = Field(description="Unix time in seconds.")
    model: str
    prompt_tokens: int = Field(ge=0, description="In the prefix cache now, but for an unfinished block at their end.")
    cached_tokens: int = Field(ge=0, description="Of them, those that were there before.")
    grammar: Literal["compiled", "cached", "none"] = Field(
        description="Of the answer: compiled now, known already, or not needed."
    )
    duration: float = Field(ge=0, description="Seconds.")


class FunctionDelta(_Answer):
    name: str | None = Field(None, description="Whole, in the first chunk of a call.")
    arguments: str | None = Field(None, description="A piece of the JSON text.")


class ToolCallDelta(_Answer):
    index: int = Field(ge=0)
    id: str | None = Field(None, description="In the first chunk of a call.")
    type: Literal["function"] | None = None
    function: FunctionDelta


class Delta(_Answer):
    role: Literal["assistant"] | None = Field(None, description="In the first chunk.")
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = Field(None, min_length=1, max_length=1)
    x_filler: Speaker | None = Field(None, description=f"In the last chunk of an answer. {WHO_SPOKE}")


class ChunkChoice(_Answer):
    index: Literal[0] = 0
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None


class ChatCompletionChunk(_Identified):
    id: str = Field(pattern="^chatcmpl-")
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    choices: list[ChunkChoice] = Field(max_length=1, description="Empty in the chunk with the usage.")
    usage: UsageReport | None = Field(None, description="In one last chunk, where stream_options asks for it.")


class CompletionLogprobs(_Answer):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int] = Field(description="Where each token begins in the text, in characters.")


class CompletionChoice(_Answer):
    index: Literal[0] = 0
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = Field(description="Null in all chunks but the last.")


class Completion(_Identified):
    """The whole answer, and each chunk of a stream."""

    id: str = Field(pattern="^cmpl-")
    object: Literal["text_completion"] = "text_completion"
    choices: list[CompletionChoice] = Field(max_length=1)
    usage: UsageReport | None = None


class Model(_Answer):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time in seconds.")
    owned_by: str


class ModelList(_Answer):
    object: Literal["list"] = "list"
    data: list[Model]


class AccountStanding(_Answer):
    """How an account stands at this moment; what its plan does not limit is not counted, and null."""

    account: str
    plan: str
    requests_per_minute: int | None
    requests: int | None = Field(description="Of the last minute.")
    concurrency: int | None
    running: int | None


class AccountList(_Answer):
    object: Literal["list"] = "list"
    data: list[AccountStanding]


class UsageGroup(_Answer):
    group: str = Field(description="A day (UTC), the id of a key, or a model.")
    requests: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    delivered_tokens: int
    price: str = Field(description="A decimal number, in the operator's currency.")


class UsageList(_Answer):
    object: Literal["list"] = "list"
    data: list[UsageGroup]


class FaultDetail(BaseModel):
    """One fault. Further members are numbers, such as token counts."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(description="A Zod issue code, or context_length_exceeded.")
    message: str
    path: list[str] = Field(description="Where in the body.")


class Fault(_Answer):
    message: str
    type: str
    details: list[FaultDetail] | None = Field(None, min_length=1, description="Absent where there are none.")
    request_id: str = Field(description="The same as in the header X-Request-Id.")


class ErrorEnvelope(_Answer):
    error: Fault
