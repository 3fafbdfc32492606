"""Events to the wire format of chat completions and of completions: chunks of a stream, or one object.

Both renderings of a request share an `Answer`, so that ids and names agree. Chunks are joined from bytes made once for
the request and the little that changes: there is no model and no dictionary of a whole chunk for each token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from server.parsing import Message
from server.records import (
    Arguments,
    Event,
    Finish,
    PositionLogprobs,
    Reasoning,
    Text,
    TokenLogprob,
    ToolCall,
    Usage,
)

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What all chunks of one answer have in common. `created` in seconds since the epoch."""

    id: str
    created: int
    model: str
    fingerprint: str
    logprobs: bool
    include_usage: bool


class Renderer(Protocol):
    """One wire format."""

    def chunks(self, event: Event) -> list[bytes]:
        """The server-sent events for one event."""

    def whole(self, message: Message) -> bytes:
        """The JSON body for all of an answer."""


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class _Chunks:
    """Joins server-sent events from the head that they share."""

    def __init__(self, answer: Answer, kind: str) -> None:
        head = orjson.dumps(
            {
                "id": answer.id,
                "object": kind,
                "created": answer.created,
                "model": answer.model,
                "system_fingerprint": answer.fingerprint,
            }
        )
        self._head = b"data: " + head[:-1] + b',"choices":'

    def choice(self, choice: bytes) -> bytes:
        return self._head + b"[" + choice + b"]}\n\n"

    def usage(self, usage: Usage) -> bytes:
        return self._head + b'[],"usage":' + orjson.dumps(usage_json(usage)) + b"}\n\n"


class ChatRenderer:
    """`chat.completion` and `chat.completion.chunk`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._chunks = _Chunks(answer, "chat.completion.chunk")
        self._role_sent = False

    def chunks(self, event: Event) -> list[bytes]:
        first = [] if self._role_sent else [self._delta(_role(event))]
        self._role_sent = True
        return first + self._event(event)

    def whole(self, message: Message) -> bytes:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
        thought = {"reasoning_content": message.reasoning} if message.reasoning else {}
        speaker = _speaker(message.finish)
        said = {"role": "assistant", "content": message.content, "refusal": None, "tool_calls": calls or None}
        said |= thought | speaker
        shown = {"content": logprobs_json(message.logprobs), "refusal": None} if self._answer.logprobs else None
        return _object(self._answer, "chat.completion", {"message": said, "logprobs": shown}, message.finish)

    def _event(self, event: Event) -> list[bytes]:
        match event:
            case Text():
                return [self._delta({"content": event.text}, event.logprobs)]
            case Reasoning():
                return [self._delta({"reasoning_content": event.text})]
            case ToolCall():
                function = {"name": event.name, "arguments": ""}
                call = {"index": event.index, "id": event.id, "type": "function", "function": function}
                return [self._delta({"tool_calls": [call]})]
            case Arguments():
                return [self._delta({"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]})]
            case Finish():
                return self._last(event)

    def _last(self, finish: Finish) -> list[bytes]:
        usage = [self._chunks.usage(finish.usage)] if self._answer.include_usage else []
        return [self._delta(_speaker(finish), finish.logprobs, finish.reason), *usage, DONE]

    def _delta(
        self, delta: dict[str, Any], logprobs: Sequence[PositionLogprobs] = (), reason: str | None = None
    ) -> bytes:
        shown = {"content": logprobs_json(logprobs), "refusal": None} if logprobs and self._answer.logprobs else None
        return self._chunks.choice(
            orjson.dumps({"index": 0, "delta": delta, "logprobs": shown, "finish_reason": reason})
        )


class CompletionRenderer:
    """`text_completion`, the same in chunks and whole."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._chunks = _Chunks(answer, "text_completion")
        self._offset = 0

    def chunks(self, event: Event) -> list[bytes]:
        match event:
            case Text():
                return [self._choice(event.text, event.logprobs)]
            case Finish():
                usage = [self._chunks.usage(event.usage)] if self._answer.include_usage else []
                return [self._choice("", event.logprobs, event.reason), *usage, DONE]
            case _:
                return []

    def whole(self, message: Message) -> bytes:
        shown = legacy_logprobs_json(message.logprobs, 0) if self._answer.logprobs else None
        choice = {"text": message.content or "", "logprobs": shown}
        return _object(self._answer, "text_completion", choice, message.finish)

    def _choice(self, text: str, logprobs: Sequence[PositionLogprobs], reason: str | None = None) -> bytes:
        shown = legacy_logprobs_json(logprobs, self._offset) if logprobs and self._answer.logprobs else None
        self._offset += sum(len(_token_text(position.chosen)) for position in logprobs)
        return self._chunks.choice(orjson.dumps({"index": 0, "text": text, "logprobs": shown, "finish_reason": reason}))


def logprobs_json(positions: Iterable[PositionLogprobs]) -> list[dict[str, Any]]:
    """OpenAI's shape: token, logprob, bytes, and the alternatives in the same shape."""
    return [
        {**_logprob_json(position.chosen), "top_logprobs": [_logprob_json(token) for token in position.top]}
        for position in positions
    ]


def legacy_logprobs_json(positions: Sequence[PositionLogprobs], offset: int) -> dict[str, Any]:
    """The shape of `/completions`; `offset` in characters, of the first of these tokens in the text."""
    tokens = [_token_text(position.chosen) for position in positions]
    starts = [offset + sum(map(len, tokens[:i])) for i in range(len(tokens))]
    return {
        "tokens": tokens,
        "token_logprobs": [position.chosen.logprob for position in positions],
        "top_logprobs": [{_token_text(token): token.logprob for token in position.top} for position in positions],
        "text_offset": starts,
    }


def _logprob_json(token: TokenLogprob) -> dict[str, Any]:
    return {"token": _token_text(token), "logprob": token.logprob, "bytes": list(token.token)}


def _token_text(token: TokenLogprob) -> str:
    return token.token.decode("utf-8", errors="replace")


def _role(event: Event) -> dict[str, Any]:
    return {"role": "assistant", "content": None if isinstance(event, ToolCall | Reasoning) else ""}


def _speaker(finish: Finish | None) -> dict[str, Any]:
    return {"x_filler": finish.filler} if finish and finish.filler else {}


def _object(answer: Answer, kind: str, choice: dict[str, Any], finish: Finish | None) -> bytes:
    assert finish is not None, "the pipeline ends every answer with one"
    return orjson.dumps(
        {
            "id": answer.id,
            "object": kind,
            "created": answer.created,
            "model": answer.model,
            "system_fingerprint": answer.fingerprint,
            "choices": [{"index": 0, **choice, "finish_reason": finish.reason}],
            "usage": usage_json(finish.usage),
        }
    )
