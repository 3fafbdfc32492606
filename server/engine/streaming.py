"""vLLM's AsyncLLM with a way out that costs less for each token: `Stream` in place of its queues and outputs.

There is no task between the engine core's messages and the streams either: each is dealt out in the turn of the event
loop in which it arrives. What vLLM counts for its own metrics is counted as it does. Of its features those are left out
that this server never asks for: several answers to a prompt, pooling, input that comes piece by piece.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, cast

import zmq
from vllm import envs
from vllm.inputs.engine import TokensInput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core_client import AsyncMPClient, _process_utility_output
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.output_processor import OutputProcessor, OutputProcessorOutput, RequestState
from vllm.v1.metrics.stats import IterationStats

from server.engine.intake import Intake
from server.engine.pace import Pace
from server.engine.stream import Stream

logger = logging.getLogger("server.engine")

# Tokens of the prompt that the text of the answer may depend on: white space at its beginning, a character begun.
# vLLM gives the whole prompt to the detokenizer, which then reads all of it, in the event loop.
CONTEXT = 64


class StreamProcessor(OutputProcessor):
    """Deals a step's outputs out to the streams of their requests."""

    def __init__(self, vllms: OutputProcessor, pace: Pace) -> None:
        super().__init__(
            vllms.tokenizer,
            log_stats=vllms.log_stats,
            tracing_enabled=vllms.tracing_enabled,
            admission_stats=vllms.admission_stats,
        )
        self._pace = pace
        self._looks_for_nans = bool(envs.VLLM_COMPUTE_NANS_IN_LOGITS)  # each look at it is a look into the environment

    def add_request(self, request: EngineCoreRequest, *args: Any, **kwargs: Any) -> None:
        short, prompt = copy(request), request.prompt_token_ids or []
        short.prompt_token_ids = prompt[-CONTEXT:]
        super().add_request(short, *args, **kwargs)
        state = self.request_states[request.request_id]
        state.prompt_token_ids, state.prompt_len = prompt, len(prompt)
        assert state.detokenizer is not None and state.logprobs_processor is not None
        stream = Stream(len(prompt), state.detokenizer, state.logprobs_processor)
        # vLLM's queue has been made by then and goes back to `start`: it carries the stream there.
        assert state.queue is not None
        state.queue.output = stream  # type: ignore[assignment]  # only `start` looks there
        state.queue = stream  # type: ignore[assignment]  # it has what vLLM calls

    def process_outputs(
        self,
        engine_core_outputs: list[EngineCoreOutput],
        engine_core_timestamp: float | None = None,
        iteration_stats: IterationStats | None = None,
        weight_version: str | None = None,
    ) -> OutputProcessorOutput:
        to_abort: list[str] = []
        for output in engine_core_outputs:
            state = self.request_states.get(output.request_id)
            if state is not None:  # or it was aborted
                self._count(state, output, engine_core_timestamp, iteration_stats)
                self._deal(state, output, iteration_stats, to_abort)
        self._pace.step(len(self.request_states))
        return OutputProcessorOutput([], to_abort)

    def _count(
        self, state: RequestState, output: EngineCoreOutput, timestamp: float | None, stats: IterationStats | None
    ) -> None:
        """As vLLM does, but for a further token, which is nearly all of them, in a tenth of the time."""
        if state.is_prefilling or output.events is not None or self._looks_for_nans:
            self._update_stats_from_output(state, output, timestamp, stats)
        elif stats is not None and state.stats is not None and timestamp is not None:
            tokens = len(output.new_token_ids)
            stats.num_generation_tokens += tokens
            stats.inter_token_latencies_iter.append(timestamp - state.stats.last_token_ts)
            state.stats.num_generation_tokens += tokens
            state.stats.last_token_ts = timestamp

    def _deal(
        self, state: RequestState, output: EngineCoreOutput, stats: IterationStats | None, to_abort: list[str]
    ) -> None:
        stream = cast(Stream, state.queue)
        first = state.is_prefilling
        if first:
            self._begin(state, output, stream)
        reason = stream.add(output)
        if reason is not None:
            self._finish_request(state)
            self._update_stats_from_finished(state, reason, stats)
            if self.tracing_enabled:
                self.do_tracing(output, state, stats)
            if not output.finished:  # a stop string, of which the core does not know
                to_abort.append(output.request_id)
        if first or reason is not None or stream.urgent():
            stream.wake()
        else:
            self._pace.hold(stream)

    def _begin(self, state: RequestState, output: EngineCoreOutput, stream: Stream) -> None:
        state.is_prefilling = False
        if output.prefill_stats is not None:
            state.num_cached_tokens = stream.cached_tokens = output.prefill_stats.num_cached_tokens


class StreamingLLM(AsyncLLM):
    """Must be made outside of the event loop: there it would begin to deal out before its processor is ours."""

    def __init__(self, *args: Any, pace: Pace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.output_processor = StreamProcessor(self.output_processor, pace)
        self.renderer.validate_token_ids = _known_to_be_good  # type: ignore[method-assign]  # see there
        self._aborting: set[asyncio.Task[None]] = set()

    async def start(
        self,
        prompt: TokensInput,
        params: SamplingParams,
        request_id: str,
        *,
        priority: int,
        trace_headers: Mapping[str, str] | None,
    ) -> Stream:
        """Give a request to the core. Whoever does not take it to its end has to `abort` it."""
        self._run_output_handler()  # before anything is asked of the core: vLLM would begin to read the answers
        carrier = await self.add_request(request_id, prompt, params, priority=priority, trace_headers=trace_headers)
        return cast(Stream, carrier.output)

    def _run_output_handler(self) -> None:
        core = self.engine_core
        if self.output_handler is not None:
            return
        if type(core) is not AsyncMPClient or core.vllm_config.parallel_config.enable_fault_tolerance:
            super()._run_output_handler()  # type: ignore[no-untyped-call]  # several cores have more to say than one
            return
        self.output_handler = core.resources.output_queue_task = asyncio.create_task(self._deal(core))

    async def _deal(self, core: AsyncMPClient) -> None:
        """Until the core dies, of which all who wait are told, or is left."""
        resources = core.resources
        assert resources.output_socket is not None

        def received(frames: Sequence[zmq.Frame]) -> None:
            resources.validate_alive(frames)
            outputs: EngineCoreOutputs = core.decoder.decode(frames)
            if outputs.utility_output:
                _process_utility_output(outputs.utility_output, core.utility_results)
            elif outputs.outputs or outputs.scheduler_stats or outputs.finished_requests:
                self._step(core, outputs)  # of several clients only one hears of the scheduler

        try:
            await Intake(zmq.Socket.shadow(resources.output_socket), received).run()
        except asyncio.CancelledError:
            if resources.engine_dead:
                self.output_processor.propagate_error(EngineDeadError())
            raise
        except Exception as error:
            logger.exception("the engine core is lost")
            self.output_processor.propagate_error(core._format_exception(error))

    def _step(self, core: AsyncMPClient, outputs: EngineCoreOutputs) -> None:
        stats = IterationStats() if self.log_stats and outputs.outputs else None
        processed = self.output_processor.process_outputs(outputs.outputs, outputs.timestamp, stats)
        if processed.reqs_to_abort:
            task = asyncio.create_task(core.abort_requests_async(processed.reqs_to_abort))
            self._aborting.add(task)
            task.add_done_callback(self._aborting.discard)
        self.output_processor.update_scheduler_stats(outputs.scheduler_stats)
        if self.logger_manager is not None:
            self.logger_manager.record(
                outputs.scheduler_stats, stats, self.renderer.stat_mm_cache(), outputs.engine_index
            )


def _known_to_be_good(token_ids: Sequence[int], *, parameter: str | None = None) -> None:
    """They are our tokenizer's; vLLM looks for the largest of them, and the smallest, in the event loop."""
