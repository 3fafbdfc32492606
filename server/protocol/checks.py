"""What the type of one member cannot say: bounds that the server sets, and members that must agree.

The checks read the body as it came, so that a malformed member hides no fault of another one. What is malformed they
pass over: it has its fault already.
"""

from collections.abc import Iterable, Iterator

from server.errors import Detail
from server.protocol.body import JsonObject
from server.protocol.faults import path_of, word
from server.protocol.limits import COMPLETION_TOKENS, MAX_COUNT, Limits
from server.protocol.raw import dig, items, whole
from server.protocol.turns import tool_turns


def chat_faults(body: JsonObject, limits: Limits) -> Iterator[Detail]:
    yield from _common_faults(body, limits)
    yield from _min_tokens(body, ("max_completion_tokens", "max_tokens"), MAX_COUNT)
    yield from _top_logprobs(body, limits.top_logprobs)
    yield from _same_names(items(body.get("tools"))[: limits.tools])
    yield from _tool_choice(body)
    yield from tool_turns(items(body.get("messages"))[: limits.messages])


def completion_faults(body: JsonObject, limits: Limits) -> Iterator[Detail]:
    yield from _common_faults(body, limits)
    yield from _min_tokens(body, ("max_tokens",), COMPLETION_TOKENS)


def _common_faults(body: JsonObject, limits: Limits) -> Iterator[Detail]:
    yield from _model(body.get("model"), limits.models)
    yield from _vocabulary(body, limits.vocab_size)


def _model(model: object, served: tuple[str, ...]) -> Iterator[Detail]:
    if isinstance(model, str) and model not in served:
        expected = " | ".join(repr(name) for name in served)
        yield Detail("invalid_enum_value", f"Expected {expected}, received {word(model)}", ("model",))


def _vocabulary(body: JsonObject, size: int) -> Iterator[Detail]:
    for name in ("stop_token_ids", "allowed_token_ids"):
        for i, value in enumerate(items(body.get(name))[:size]):
            token_id = whole(value)
            if token_id is not None and token_id <= MAX_COUNT:  # beyond, its type has refused it
                yield from _token_id(token_id, size, (name, i))
    biases = body.get("logit_bias")
    for key in biases if isinstance(biases, dict) else ():
        if key.isascii() and key.isdecimal() and len(key) <= 10:
            yield from _token_id(int(key), size, ("logit_bias", key))


def _token_id(token_id: int, size: int, path: tuple[str | int, ...]) -> Iterator[Detail]:
    if token_id >= size:
        message = f"Token ids are below {size}, the size of the vocabulary, received {token_id}"
        yield Detail("too_big", message, path_of(path))


def _min_tokens(body: JsonObject, names: Iterable[str], default: int) -> Iterator[Detail]:
    least = whole(body.get("min_tokens"))
    name = next((name for name in names if body.get(name) is not None), None)
    most = default if name is None else whole(body[name])
    if least is not None and most is not None and 1 <= most < least <= MAX_COUNT:
        yield Detail(
            "too_big", f"Must not be greater than {name or 'max_tokens'}, {most}, received {least}", ("min_tokens",)
        )


def _top_logprobs(body: JsonObject, most: int) -> Iterator[Detail]:
    count = whole(body.get("top_logprobs"))
    if count is not None and most < count <= MAX_COUNT:
        yield Detail("too_big", f"Number must be less than or equal to {most}, received {count}", ("top_logprobs",))
    if body.get("top_logprobs") is not None and body.get("logprobs") in (None, False):
        yield Detail("custom", "top_logprobs requires logprobs: true", ("top_logprobs",))


def _same_names(tools: list[object]) -> Iterator[Detail]:
    seen = set()
    for i, tool in enumerate(tools):
        name = dig(tool, "function", "name")
        if isinstance(name, str) and name in seen:
            yield Detail("custom", f"More than one tool is named {word(name)}", ("tools", str(i), "function", "name"))
        seen.add(name if isinstance(name, str) else None)


def _tool_choice(body: JsonObject) -> Iterator[Detail]:
    choice, tools = body.get("tool_choice"), body.get("tools")
    if choice != "required" and not isinstance(choice, dict):
        return
    if tools in (None, []):
        yield Detail("custom", "This tool_choice requires tools", ("tool_choice",))
    name = dig(choice, "function", "name")
    if isinstance(name, str) and isinstance(tools, list) and tools and not _offers(tools, name):
        yield Detail("custom", f"No tool is named {word(name)}", ("tool_choice", "function", "name"))


def _offers(tools: list[object], name: str) -> bool:
    return any(dig(tool, "function", "name") == name for tool in tools)
