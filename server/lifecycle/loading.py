"""What there is to load: tokenizer, engine, and how the model writes."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from server.admission.listener import check_listener
from server.engine.base import Engine
from server.nano import model_path
from server.parsing import FAMILIES, FOREIGN, Family, detect, foreign_family
from server.pipeline import Pipeline
from server.processes import Seat, check_processes
from server.prompt import PromptBuilder, load_prompt_builder
from server.protocol import Limits
from server.settings import Settings, SettingsError, nearest
from server.telemetry.buckets import vllm_buckets
from server.telemetry.database import ledger_url

logger = logging.getLogger("server.lifecycle")


@dataclass(frozen=True, slots=True)
class Model:
    """What loading brings. family: how the model writes."""

    prompts: PromptBuilder
    engine: Engine
    family: Family


@dataclass(frozen=True, slots=True)
class Loaded:
    """What exists once the model does. `created` in seconds since the epoch."""

    pipeline: Pipeline
    limits: Limits
    fingerprint: str
    created: int


Loader = Callable[[Settings], Model]


def validate(settings: Settings) -> None:
    """Find what can be found wrong without loading the model.

    Raises:
        SettingsError: naming every fault.
    """
    from server.engine.options import check_engine_options

    check_listener(settings)
    check_processes(settings)
    model = settings.model
    _check_tool_format(model.tool_format)
    if model.chat_template and not model.chat_template.is_file():
        raise SettingsError(f"`model.chat_template`: there is no file {model.chat_template}")
    check_engine_options(settings.engine)
    ledger_url(settings.telemetry.ledger)


def load(settings: Settings, seat: Seat | None = None) -> Model:
    """Load tokenizer and engine. Blocks for as long as that takes. seat: absent: of the only process."""
    # Imported here since the import alone takes seconds, in which the listener can already say that it is loading.
    from server.engine.options import engine_args
    from server.engine.shared_prefix import read_shared_prompts_once
    from server.engine.vllm_engine import VllmEngine

    validate(settings)
    model = settings.model
    path = model.path or str(model_path())
    prompts = load_prompt_builder(
        path,
        context_window=model.context_window,
        overflow=model.overflow,
        chat_template=model.chat_template,
        template_kwargs=model.template_kwargs,
        revision=model.revision,
        shared_prompts=settings.admission.shared_prompts,
        filler=settings.filler,
        remember=model.remember,
    )
    tool_format = detect(prompts.chat_template) if model.tool_format == "auto" else model.tool_format
    family = choose_family(tool_format, prompts)
    prompts = prompts.speaking(family.grammar, family.thought)
    logger.info("loading %s, tool calls as %s", path, tool_format)
    args = engine_args(path, model, settings.engine, vllm_buckets())
    if settings.kernels.shared_prefix_gate:
        args = read_shared_prompts_once(args, settings.kernels.shared_prefix_gate)
    sharing = bool(settings.admission.shared_prompts)
    engine = VllmEngine(args, prompts.token_bytes, sharing, settings.http.coalesce, seat)
    return Model(prompts, engine, family)


def _check_tool_format(name: str) -> None:
    known = ["auto", *FAMILIES]
    if name.startswith(FOREIGN):
        from server.engine.vllm_parser import parser_names

        known = [FOREIGN + parser for parser in parser_names()]
    if name not in known:
        raise SettingsError(f"`model.tool_format`: {name}{nearest(name, known)}")


def choose_family(name: str, prompts: PromptBuilder) -> Family:
    """By its name, as `model.tool_format` has it or the chat template tells.

    Raises:
        SettingsError: vLLM's parser of that name cannot work with the model's tokenizer.
    """
    if not name.startswith(FOREIGN):
        return FAMILIES[name].of_tokenizer(prompts.special_tokens)
    from server.engine.vllm_parser import VllmParser

    try:
        parser = VllmParser(name.removeprefix(FOREIGN), prompts.tokenizer)
    except Exception as error:  # of the parser's own kinds
        raise SettingsError(f"`model.tool_format`: {name} does not take this tokenizer: {error}") from error
    return foreign_family(parser.extractor, parser.needs_special_tokens).of_tokenizer(prompts.special_tokens)


def fingerprint(settings: Settings) -> str:
    """Changes when the model or a setting that may change its output does."""
    facts = settings.model_dump_json(include={"model", "engine", "speech"}, exclude={"model": {"remember"}})
    return "fp_" + hashlib.sha256(facts.encode()).hexdigest()[:12]
