"""The members of a request body: which are accepted, ignored and refused, and within what bounds.

Everything else agrees with this table: the parser reads by it, the schemas of the OpenAPI document, the documentation
and the contract tests are made of it. A member that is not in it is accepted and has no effect. Null stands for the
default of any member that has one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from server.protocol.examples import CALLED, IMAGE, NAMED, PARTS, RESULT, SCHEMA, TOOL, USER, tools
from server.protocol.limits import (
    COMPLETION_TOKENS,
    MAX_BAD_WORDS,
    MAX_COUNT,
    MAX_MESSAGES,
    MAX_STOPS,
    MAX_TOOLS,
    MAX_TOP_LOGPROBS,
)
from server.protocol.messages import Messages
from server.protocol.options import Filler, FillerOptions, Options, StreamOptions, TextPrompt
from server.protocol.tools import Choice, Format, ResponseFormat, Tools
from server.protocol.types import (
    Annotation,
    Documented,
    Flag,
    LogitBias,
    NotBlank,
    Stop,
    Text,
    array,
    integer,
    never,
    number,
)

Status = Literal["accepted", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Field:
    """A member of the body.

    accepts: its type and range, for people.
    type: the same for pydantic; None where nothing is looked at.
    good, bad: values that are accepted (the bounds are among them) and refused (from just outside the bounds).
    needs: further members without which the good values would be refused.
    """

    name: str
    accepts: str
    type: Annotation = None
    status: Status = "accepted"
    default: object = None
    required: bool = False
    good: tuple[object, ...] = ()
    bad: tuple[object, ...] = ()
    needs: Mapping[str, object] = field(default_factory=dict)


def _number(name: str, low: float, high: float, default: float) -> Field:
    bad: tuple[object, ...] = (low - 0.01, high + 0.01, True, str(high), [low], {})
    return Field(name, f"number, {low:g} to {high:g}", number(low, high), default=default, good=(low, high), bad=bad)


def _integer(name: str, low: int, high: int, default: int | None) -> Field:
    upper = f"to {high}" if high != MAX_COUNT else "and up"
    bad: tuple[object, ...] = (low - 1, high + 1, 10**30, -(10**30), 0.5, True, str(low), [low], {})
    return Field(name, f"integer, {low} {upper}", integer(low, high), default=default, good=(low, high), bad=bad)


def _flag(name: str, default: bool) -> Field:
    return Field(name, "boolean", Flag, default=default, good=(True, False), bad=(0, 1, "true", [], {}))


def _refused(name: str, *harmless: object, bad: tuple[object, ...], message: str) -> Field:
    accepts = " or ".join(["null", *map(_as_json, harmless)])
    return Field(name, accepts, never(*harmless, message=message), "refused", good=harmless, bad=bad)


def _as_json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else '""' if value == "" else str(value)


_MODEL = Field(
    "model", "string, one of the served models", Text, required=True, bad=("no-such-model", "", 1, True, [], {})
)
_MESSAGES = Field(
    "messages",
    f"array of 1 to {MAX_MESSAGES} messages; roles system, user, assistant, tool; content text or text parts",
    Messages,
    required=True,
    good=(
        [USER],
        [USER] * MAX_MESSAGES,
        [{"role": "system", "content": "Be brief."}, USER, CALLED, RESULT],
        [{"role": "user", "content": PARTS}],
        [USER, {"role": "assistant", "content": "Hi", "tool_calls": None, "refusal": None, "audio": None}, USER],
    ),
    bad=(
        [],
        [USER] * (MAX_MESSAGES + 1),
        [{"role": "developer", "content": "Hello"}],
        [{"role": "user", "content": None}],
        [{"role": "user"}],
        [{"role": "user", "content": [IMAGE]}],
        [USER, {**RESULT, "tool_call_id": ""}],
        [USER, RESULT],
        "Hello",
        USER,
        ["Hello"],
    ),
)
_PROMPT = Field(
    "prompt",
    "string of at least 1 character, or an array with exactly one",
    TextPrompt,
    required=True,
    good=("Hello", ["Hello"]),
    bad=("", [], [""], ["Hello", "Bye"], [1, 2, 3], [[1, 2, 3]], 1, {}),
)

_SAMPLING = (
    _number("temperature", 0, 2, default=1.0),
    _number("top_p", 0, 1, default=1.0),
    _integer("top_k", -1, MAX_COUNT, default=0),
    _number("min_p", 0, 1, default=0.0),
    _number("presence_penalty", -2, 2, default=0.0),
    _number("frequency_penalty", -2, 2, default=0.0),
    _number("repetition_penalty", 0.01, 100, default=1.0),
    _integer("seed", -(2**63), 2**63 - 1, default=None),
    Field(
        "stop",
        f"string, or array of at most {MAX_STOPS}; none of them empty",
        Stop,
        default=(),
        good=("\n", [], ["a", "b", "c", "d"]),
        bad=("", [""], ["a", "b", "c", "d", "e"], 1, [1], {}),
    ),
    Field(
        "stop_token_ids",
        "array of token ids",
        array(integer(0)),
        default=(),
        good=([], [0, 1]),
        bad=([-1], [MAX_COUNT], ["1"], 1, {}),
    ),
    Field(
        "logit_bias",
        "object from token ids to numbers, -100 to 100",
        LogitBias,
        default={},
        good=({}, {"0": -100, "1": 100}),
        bad=({"0": -100.5}, {"0": 101}, {"x": 1}, {"-1": 1}, {str(MAX_COUNT): 1}, {"0": "1"}, [], 1),
    ),
    Field(
        "allowed_token_ids",
        "array of token ids, not empty",
        array(integer(0), low=1),
        default=(),
        good=([0, 1],),
        bad=([], [-1], [MAX_COUNT], ["1"], 1, {}),
    ),
    Field(
        "bad_words",
        f"array of at most {MAX_BAD_WORDS} strings, none of them blank",
        array(NotBlank, high=MAX_BAD_WORDS),
        default=(),
        good=([], ["foo"] * MAX_BAD_WORDS),
        bad=([""], [" "], ["foo"] * (MAX_BAD_WORDS + 1), "foo", [1], {}),
    ),
    replace(_integer("min_tokens", 0, MAX_COUNT, default=0), good=(0, 1)),
    _flag("include_stop_str_in_output", default=False),
    _flag("ignore_eos", default=False),
    Field(
        "stream_options",
        "object; include_usage: boolean",
        Options,
        default=StreamOptions(),
        good=({}, {"include_usage": True}, {"include_usage": None}),
        bad=({"include_usage": 1}, [], True),
    ),
    _flag("stream", default=False),
    Field("user", "string, not interpreted", Text, good=("", "caller-7"), bad=(1, True, [], {})),
    Field(
        "service_class",
        "live, speculative or background; no better than the plan's",
        Literal["live", "speculative", "background"],
        good=("live", "speculative", "background"),
        bad=("urgent", "", 1, True, [], {}),
    ),
    _refused("n", 1, bad=(0, 2, -1, "1", True, 1.5), message="n > 1 is not supported"),
    _refused("prompt_logprobs", False, 0, bad=(True, 1, -1, "1"), message="prompt_logprobs is not supported"),
)

_CHAT = (
    _MODEL,
    _MESSAGES,
    replace(_integer("max_tokens", 1, MAX_COUNT, default=None), good=(1,)),
    replace(_integer("max_completion_tokens", 1, MAX_COUNT, default=None), good=(1,)),
    Field(
        "response_format",
        "object; type: text, json_object, or json_schema with a json_schema.schema",
        Format,
        default=ResponseFormat(),
        good=({"type": "text"}, {"type": "json_object"}, SCHEMA),
        bad=({"type": "xml"}, {}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}, "text", []),
    ),
    Field(
        "tools",
        f"array of at most {MAX_TOOLS} functions with different names",
        Tools,
        default=(),
        good=([], [TOOL], tools(MAX_TOOLS)),
        bad=(tools(MAX_TOOLS + 1), [TOOL, TOOL], [{}], [{"type": "function", "function": {"name": "a b"}}], {}, "x"),
    ),
    Field(
        "tool_choice",
        "auto, none, required, or an object that names one of the tools",
        Choice,
        default="auto",
        good=("auto", "none", "required", NAMED),
        bad=("any", "", {}, {"type": "function", "function": {"name": "missing"}}, True, []),
        needs={"tools": [TOOL]},
    ),
    _flag("parallel_tool_calls", default=True),
    Field(
        "filler",
        "auto, always, off, or an object; mode: one of these; strategy: grammar or phrase",
        Filler,
        default=FillerOptions(),
        good=("auto", "always", "off", {}, {"mode": "always", "strategy": "phrase"}, {"strategy": "grammar"}),
        bad=("on", "", {"mode": "on"}, {"strategy": "model"}, {"mode": True}, True, 1, []),
    ),
    _flag("logprobs", default=False),
    Field(
        "top_logprobs",
        f"integer, 0 to {MAX_TOP_LOGPROBS}, with logprobs: true",
        Annotated[integer(0), Documented({"maximum": MAX_TOP_LOGPROBS})],
        good=(0, MAX_TOP_LOGPROBS),
        bad=(-1, MAX_TOP_LOGPROBS + 1, 0.5, True, "1", []),
        needs={"logprobs": True},
    ),
)

_COMPLETION = (
    _MODEL,
    _PROMPT,
    replace(_integer("max_tokens", 1, MAX_COUNT, default=COMPLETION_TOKENS), good=(1,)),
    replace(_integer("logprobs", 0, 5, default=None)),
    _refused("echo", False, bad=(True, 1, "true"), message="echo is not supported"),
    _refused("suffix", "", bad=("end", 1, True), message="suffix is not supported"),
    _refused("best_of", 1, bad=(0, 2, "1", True), message="best_of > 1 is not supported"),
)

# Known to be sent and to be harmless. Some would be dangerous if they reached the engine: a caller chooses neither
# the template nor the salt of the cache.
_IGNORED = (
    *("store", "metadata", "service_tier", "modalities", "audio", "prediction", "reasoning_effort", "verbosity"),
    *("functions", "function_call", "safety_identifier", "prompt_cache_key", "web_search_options"),
    *("skip_special_tokens", "spaces_between_special_tokens", "truncate_prompt_tokens", "priority", "request_id"),
    *("chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "documents"),
    *("cache_salt", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"),
    *("kv_transfer_params", "vllm_xargs", "logits_processors", "mm_processor_kwargs", "return_token_ids"),
    "use_beam_search",
)


def _ignored(name: str) -> Field:
    return Field(name, "anything", status="ignored", good=(None, True, 7, "x", ["x"], {"x": 1}))


CHAT_FIELDS: tuple[Field, ...] = (*_CHAT, *_SAMPLING, *map(_ignored, (*_IGNORED, "best_of")))
COMPLETION_FIELDS: tuple[Field, ...] = (*_COMPLETION, *_SAMPLING, *map(_ignored, _IGNORED))
