"""vLLM's AsyncLLM behind our contract. The scheduler and the model run in vLLM's own process."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.executor.abstract import Executor
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import SchedulerStats

from server.engine.base import EngineStats, Settle, Urgent, never
from server.engine.convert import to_delta, to_input, to_params
from server.engine.counting import GroupedStats
from server.engine.one_core import OneCore, count_processes
from server.engine.orphan import tie_children
from server.engine.pace import Pace
from server.engine.sharing import share_prompts
from server.engine.stream import NOTHING, Stream
from server.engine.streaming import StreamingLLM
from server.engine.workers import Workers
from server.errors import Detail, EngineFailed, InvalidRequest, ServerError, Unavailable
from server.processes import Seat, alone, engine_processes
from server.records import Delta, Prompt

EXIT_TIMEOUT = 15.0  # seconds that the engine's process has to clean up before it is killed


class LatestStats(StatLoggerBase):
    """Keeps the scheduler's last report, and counts them: there is one for every step."""

    def __init__(self, vllm_config: VllmConfig, engine_index: int = 0) -> None:
        self.steps = 0
        self.scheduler = SchedulerStats()
        self.reported_at = 0.0

    def record(self, scheduler_stats: SchedulerStats | None, *_: Any, **__: Any) -> None:
        self.steps += 1
        if scheduler_stats is not None:
            self.scheduler, self.reported_at = scheduler_stats, time.monotonic()

    def log_engine_initialized(self) -> None:
        """Nothing to say."""


class VllmEngine:
    """One model on one engine core.

    Building it takes as long as loading the model and blocks: call it in a thread.

    token_bytes: the exact bytes of every token id, for logprobs.
    sharing: heed `Prompt.shared_tokens`.
    coalesce: seconds; see `Pace`.
    seat: of several processes the first starts the core; absent: there is no other.

    Raises:
        SettingsError: the engine's arguments leave no room for that.
        EngineFailed: the core that another process was to start did not come up.
    """

    def __init__(
        self,
        args: AsyncEngineArgs,
        token_bytes: Sequence[bytes],
        sharing: bool = False,
        coalesce: float = 0.0,
        seat: Seat | None = None,
    ) -> None:
        tie_children()
        self._seat = seat = seat or alone()
        count_processes(args, seat)
        config = args.create_engine_config(UsageContext.OPENAI_API_SERVER)
        if sharing:
            share_prompts(config.scheduler_config)
        self._latest = LatestStats(config)
        executor = Executor.get_class(config)
        core = OneCore(config, executor, seat) if seat.shared else None
        self._llm = StreamingLLM(
            config,
            executor,
            log_stats=not args.disable_log_stats,
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=[lambda *_: self._latest, GroupedStats],
            pace=Pace(coalesce),
            **(core.client if core else {}),
        )
        if core:
            core.belong_to(self._llm)
        self._workers = Workers()
        self._token_bytes = token_bytes
        self.context_window: int = config.model_config.max_model_len
        self.vocab_size: int = config.model_config.get_vocab_size()
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it again and again holds up every stream

    async def generate(
        self, prompt: Prompt, request_id: str, settle: Settle, urgent: Urgent = never
    ) -> AsyncGenerator[Delta, None]:
        stream: Stream | None = None
        ended = False
        try:
            stream = await self._start(prompt, request_id)
            stream.urgent = urgent
            while not ended:
                piece = await stream.take()
                ended = piece.finish_reason is not None
                yield to_delta(piece, stream.prompt_tokens, stream.cached_tokens, prompt.sampling, self._token_bytes)
        except GracefulHTTPError as error:
            raise Unavailable(str(error)) from error
        except VLLMClientError as error:
            raise InvalidRequest.of([Detail("custom", str(error), _path(error))]) from error
        except ServerError:
            raise
        except Exception as error:
            raise EngineFailed("The engine failed while it worked on this request.") from error
        finally:
            try:
                if not ended:
                    await self._llm.abort(request_id)
            finally:  # also where the abort itself is cut short
                settle(stream.usage if stream else NOTHING)

    async def _start(self, prompt: Prompt, request_id: str) -> Stream:
        return await self._llm.start(
            to_input(prompt),
            to_params(prompt.sampling, prompt.grammar, prompt.shared_tokens if prompt.cache_salt else 0),
            request_id,
            priority=prompt.priority,
            trace_headers=prompt.trace_headers or None,
        )

    def stats(self) -> EngineStats:
        latest = self._latest.scheduler
        steps, unfinished = self._seat.tally("steps"), self._seat.tally("unfinished")
        steps.mine, unfinished.mine = self._latest.steps, self._llm.get_num_unfinished_requests()
        return EngineStats(
            running=latest.num_running_reqs,
            waiting=latest.num_waiting_reqs + latest.num_skipped_waiting_reqs,
            kv_cache_usage=latest.kv_cache_usage,
            steps=steps.total,
            unfinished=unfinished.total,
            reported_at=self._latest.reported_at,
        )

    async def check(self) -> None:
        if self._seat.tally("lost").total:
            raise EngineFailed("The engine, or one of the processes before it, is dead.")
        try:
            await self._llm.check_health()
        except EngineDeadError as error:
            raise EngineFailed("The engine is dead.") from error
        if not self._workers.all_alive():
            raise EngineFailed("A worker of the engine is dead.")

    def kill(self) -> None:
        for process in engine_processes():
            process.kill()

    async def close(self) -> None:
        if (handler := self._llm.output_handler) is not None:
            handler.cancel()  # or it reports the core's end as a failure
            await asyncio.gather(handler, return_exceptions=True)
        await asyncio.to_thread(self._llm.shutdown, EXIT_TIMEOUT)


def _path(error: VLLMClientError) -> tuple[str, ...]:
    parameter = getattr(error, "parameter", None)
    return (parameter,) if isinstance(parameter, str) else ()
