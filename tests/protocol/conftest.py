from collections.abc import Callable

import orjson
import pytest

from server.errors import Detail, InvalidRequest
from server.protocol import ChatRequest, CompletionRequest, Limits, parse_chat, parse_completion

Fault = tuple[str, tuple[str, ...]]  # code and path

LIMITS = Limits(models=("electron", "spare"), vocab_size=1000)
USER = {"role": "user", "content": "Hello"}


@pytest.fixture
def chat() -> Callable[..., ChatRequest]:
    """The request that a well-formed body with these members is."""

    def parse(**members: object) -> ChatRequest:
        return parse_chat(orjson.dumps({"model": "electron", "messages": [USER], **members}), LIMITS)

    return parse


@pytest.fixture
def completion() -> Callable[..., CompletionRequest]:
    """The same for the legacy route."""

    def parse(**members: object) -> CompletionRequest:
        return parse_completion(orjson.dumps({"model": "electron", "prompt": "Hello", **members}), LIMITS)

    return parse


@pytest.fixture
def details(chat: Callable[..., ChatRequest]) -> Callable[..., tuple[Detail, ...]]:
    """Every fault of a body with these members; at least one."""

    def refused(**members: object) -> tuple[Detail, ...]:
        with pytest.raises(InvalidRequest) as caught:
            chat(**members)
        return caught.value.details

    return refused


@pytest.fixture
def faults(details: Callable[..., tuple[Detail, ...]]) -> Callable[..., list[Fault]]:
    """The same, code and path alone."""
    return lambda **members: [(detail.code, detail.path) for detail in details(**members)]
