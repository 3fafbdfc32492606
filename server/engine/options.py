"""vLLM's engine arguments: passed on untouched, refused by name when vLLM does not know them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vllm.engine.arg_utils import AsyncEngineArgs

from server.settings import ModelSettings, SettingsError, nearest

# Engine arguments that have a setting of their own: one fact, one place.
OWNED = {
    "model": "model.path",
    "tokenizer": "model.path",
    "revision": "model.revision",
    "served_model_name": "model.served_names",
    "max_model_len": "model.context_window",
    "stream_interval": "http.coalesce",
}

PIECE = 1024  # tokens of one long prompt in a step while others talk: reckoned, some 40 ms of an 8B model on an H100


def check_engine_options(options: Mapping[str, Any]) -> None:
    """Raises SettingsError naming every option that vLLM does not know or that another setting owns."""
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    faults = [f"`engine.{name}` is set by `{OWNED[name]}`" for name in options if name in OWNED]
    faults += [
        f"vLLM has no engine argument `engine.{name}`{nearest(name, known)}" for name in options if name not in known
    ]
    if faults:
        raise SettingsError("\n".join(faults))


def engine_args(
    path: str, model: ModelSettings, options: Mapping[str, Any], buckets: Mapping[str, Sequence[float]]
) -> AsyncEngineArgs:
    """`path`: local folder or hub id. `buckets`: of vLLM's histograms."""
    check_engine_options(options)
    defaults = {
        "scheduling_policy": "priority",  # live calls before background work
        "long_prefill_token_threshold": min(PIECE, model.context_window),
        "custom_histogram_buckets": {name: list(edges) for name, edges in buckets.items()},
    }
    return AsyncEngineArgs(
        model=path,
        revision=model.revision,
        served_model_name=list(model.served_names),
        max_model_len=model.context_window,
        **{**defaults, **options},
    )
