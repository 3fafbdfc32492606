"""vLLM's AsyncLLM behind our contract. The scheduler and the model run in vLLM's own process."""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.executor.abstract import Executor
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import SchedulerStats

from server.engine.accounting import AccountingLLM
from server.engine.base import EngineStats, Settle
from server.engine.convert import to_delta, to_input, to_params
from server.engine.sharing import share_prompts
from server.errors import Detail, EngineFailed, InvalidRequest, Unavailable
from server.records import Delta, Prompt

EXIT_TIMEOUT = 15.0  # seconds that the engine's process has to clean up before it is killed


class LatestStats(StatLoggerBase):
    """Keeps the scheduler's last report, and counts them: there is one for every step."""

    def __init__(self, vllm_config: VllmConfig, engine_index: int = 0) -> None:
        self.steps = 0
        self.scheduler = SchedulerStats()

    def record(self, scheduler_stats: SchedulerStats | None, *_: Any, **__: Any) -> None:
        self.steps += 1
        self.scheduler = scheduler_stats or self.scheduler

    def log_engine_initialized(self) -> None:
        """Nothing to say."""


class VllmEngine:
    """One model on one engine core.

    Building it takes as long as loading the model and blocks: call it in a thread.

    token_bytes: the exact bytes of every token id, for logprobs.
    sharing: heed `Prompt.shared_tokens`.

    Raises:
        SettingsError: the engine's arguments leave no room for that.
    """

    def __init__(self, args: AsyncEngineArgs, token_bytes: Sequence[bytes], sharing: bool = False) -> None:
        config = args.create_engine_config(UsageContext.OPENAI_API_SERVER)
        if sharing:
            share_prompts(config.scheduler_config)
        self._latest = LatestStats(config)
        self._llm = AccountingLLM(
            config,
            Executor.get_class(config),
            log_stats=not args.disable_log_stats,
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=[lambda *_: self._latest],
        )
        self._token_bytes = token_bytes
        self.context_window: int = config.model_config.max_model_len
        self.vocab_size: int = config.model_config.get_vocab_size()

    async def generate(self, prompt: Prompt, request_id: str, settle: Settle) -> AsyncGenerator[Delta, None]:
        outputs = self._llm.generate(
            to_input(prompt),
            to_params(prompt.sampling, prompt.grammar, prompt.shared_tokens if prompt.cache_salt else 0),
            request_id,
            priority=prompt.priority,
            trace_headers=prompt.trace_headers or None,
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    yield to_delta(output, prompt.sampling, self._token_bytes)
        except GracefulHTTPError as error:
            raise Unavailable(str(error)) from error
        except VLLMClientError as error:
            raise InvalidRequest.of([Detail("custom", str(error), _path(error))]) from error
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineFailed("The engine failed while it worked on this request.") from error
        finally:
            settle(self._llm.account(request_id))

    def stats(self) -> EngineStats:
        latest = self._latest.scheduler
        return EngineStats(
            running=latest.num_running_reqs,
            waiting=latest.num_waiting_reqs + latest.num_skipped_waiting_reqs,
            kv_cache_usage=latest.kv_cache_usage,
            steps=self._latest.steps,
            unfinished=self._llm.get_num_unfinished_requests(),
        )

    async def check(self) -> None:
        try:
            await self._llm.check_health()
        except EngineDeadError as error:
            raise EngineFailed("The engine is dead.") from error

    def kill(self) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    async def close(self) -> None:
        if self._llm.output_handler is not None:
            self._llm.output_handler.cancel()  # or it reports the core's end as a failure
        await asyncio.to_thread(self._llm.shutdown, EXIT_TIMEOUT)


def _path(error: VLLMClientError) -> tuple[str, ...]:
    parameter = getattr(error, "parameter", None)
    return (parameter,) if isinstance(parameter, str) else ()
