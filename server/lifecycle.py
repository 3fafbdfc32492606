"""From loading to closed."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from server.admission.gate import Gate
from server.admission.listener import check_listener
from server.engine.base import Engine
from server.errors import EngineFailed, Unavailable
from server.nano import model_path
from server.parsing import FAMILIES, detect
from server.pipeline import Pipeline
from server.prompt import PromptBuilder, load_prompt_builder
from server.protocol import Limits
from server.records import Prompt, Sampling
from server.settings import Settings, SettingsError, nearest
from server.telemetry.buckets import vllm_buckets
from server.telemetry.desk import Desk

logger = logging.getLogger("server.lifecycle")

Phase = Literal["loading", "warming", "ready", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class Model:
    """What loading brings. tool_format: the family of parsers."""

    prompts: PromptBuilder
    engine: Engine
    tool_format: str


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
    model = settings.model
    if model.tool_format not in ("auto", *FAMILIES):
        raise SettingsError(f"`model.tool_format`: {model.tool_format}{nearest(model.tool_format, FAMILIES)}")
    if model.chat_template and not model.chat_template.is_file():
        raise SettingsError(f"`model.chat_template`: there is no file {model.chat_template}")
    check_engine_options(settings.engine)


def load(settings: Settings) -> Model:
    """Load tokenizer and engine. Blocks for as long as that takes."""
    # Imported here since the import alone takes seconds, in which the listener can already say that it is loading.
    from server.engine.options import engine_args
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
    )
    tool_format = detect(prompts.chat_template) if model.tool_format == "auto" else model.tool_format
    logger.info("loading %s, tool calls as %s", path, tool_format)
    engine = VllmEngine(engine_args(path, model, settings.engine, vllm_buckets()), prompts.token_bytes)
    return Model(prompts, engine, tool_format)


class Lifecycle:
    """Loads in the background, so that probes are answered meanwhile, and closes what it loaded.

    on_ready, on_failure: one of them is called, once the model is loaded or cannot be.

    Raises:
        SettingsError: keys, limits or the ledger cannot be used as configured.
    """

    def __init__(
        self,
        settings: Settings,
        workers: Executor,
        loader: Loader = load,
        on_ready: Callable[[], None] = lambda: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.phase: Phase = "loading"
        prices = {name: plan.prices for name, plan in settings.admission.plans.items()}
        self.desk = Desk(settings.telemetry, settings.model.served_names, prices)
        self.gate = Gate(settings.admission, observe=self.desk.metrics.decided)
        self.desk.metrics.watch_admission(
            lambda: self.gate.store_up, lambda: self.gate.keys_good, lambda: self.gate.queued_tokens
        )
        self.desk.metrics.watch_ready(lambda: self.phase == "ready")
        self._settings = settings
        self._workers = workers
        self._loader = loader
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._loaded: Loaded | None = None
        self._loading: asyncio.Task[None] | None = None

    @property
    def loaded(self) -> Loaded:
        """
        Raises:
            Unavailable: not ready; the message says why.
        """
        if self._loaded is None or self.phase != "ready":
            raise Unavailable(f"The server is not ready: {self.phase}.")
        return self._loaded

    async def check_alive(self) -> None:
        """
        Raises:
            EngineFailed: the engine is dead, or never came to life.
        """
        if self.phase == "failed":
            raise EngineFailed("The model could not be loaded.")
        if self._loaded is not None:
            await self._loaded.pipeline.engine.check()

    def start(self) -> None:
        self.desk.start()
        self.gate.start()
        self._loading = asyncio.create_task(self._load())

    async def close(self) -> None:
        """After the last request."""
        self._enter("closed")
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)  # an engine half loaded cannot be abandoned
        if self._loaded is not None:
            await self._loaded.pipeline.engine.close()
        await self.gate.close()
        await self.desk.close()

    async def _load(self) -> None:
        started = time.monotonic()
        try:
            model = await asyncio.to_thread(self._loader, self._settings)
            self._loaded = self._join(model)
            self._enter("warming")
            await _warm_up(model.engine)
        except Exception:
            logger.exception("the model could not be loaded")
            self._enter("failed")
            self._on_failure()
            return
        self._enter("ready")
        logger.info("ready after %.1f s", time.monotonic() - started)
        self._on_ready()

    def _join(self, model: Model) -> Loaded:
        pipeline = Pipeline(model.prompts, model.engine, model.tool_format, self._workers, self.desk.recorder)
        limits = Limits(models=self._settings.model.served_names, vocab_size=model.engine.vocab_size)
        return Loaded(pipeline, limits, _fingerprint(self._settings), int(time.time()))

    def _enter(self, phase: Phase) -> None:
        if self.phase not in ("failed", "closed"):  # nothing follows these
            self.phase = phase


async def _warm_up(engine: Engine) -> None:
    """One real generation: whatever is compiled or allocated at first use is, before a caller waits for it."""
    prompt = Prompt(token_ids=[0] * 32, sampling=Sampling(max_tokens=2, ignore_eos=True))
    async with aclosing(engine.generate(prompt, "warm-up", lambda usage: None)) as deltas:
        async for _ in deltas:
            pass


def _fingerprint(settings: Settings) -> str:
    """Changes when the model or a setting that may change its output does."""
    facts = settings.model_dump_json(include={"model", "engine"})
    return "fp_" + hashlib.sha256(facts.encode()).hexdigest()[:12]
