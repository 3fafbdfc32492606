"""vLLM's series, with less work for each token."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from prometheus_client import Counter, Histogram
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import IterationStats, MultiModalCacheStats, SchedulerStats

AGE = 0.05  # seconds; inference gateways look that often


class Bulk(Histogram):
    """Takes many values at once."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        self._sum.inc(sum(amounts))
        for place, count in enumerate(np.bincount(np.searchsorted(self._upper_bounds, amounts)).tolist()):
            if count:
                self._buckets[place].inc(count)


@dataclass(slots=True)
class _Steps:
    """Those of one engine that are not written down yet. since: when the first of them was."""

    since: float = 0.0
    scheduler: SchedulerStats | None = None
    tokens: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)


class GroupedStats(PrometheusStatLogger):
    """Writes steps that bring nothing but further tokens down together.

    At the latest with the next step in which a request begins or ends, or which is later than `AGE`.
    """

    _histogram_cls = Bulk

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as vLLM has it
        self._steps: defaultdict[int, _Steps] = defaultdict(_Steps)

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: MultiModalCacheStats | None = None,
        engine_idx: int = 0,
    ) -> None:
        steps = self._steps[engine_idx]
        if iteration_stats is None or mm_cache_stats is not None or not _only_tokens(scheduler_stats, iteration_stats):
            self._write(steps, engine_idx)
            super().record(scheduler_stats, iteration_stats, mm_cache_stats, engine_idx)
            return
        now = iteration_stats.iteration_timestamp
        steps.since = steps.since if steps.tokens else now
        steps.scheduler = scheduler_stats or steps.scheduler
        steps.tokens.append(iteration_stats.num_generation_tokens)
        steps.gaps += iteration_stats.inter_token_latencies_iter
        if now - steps.since >= AGE:
            self._write(steps, engine_idx)

    def _write(self, steps: _Steps, engine_idx: int) -> None:
        if not steps.tokens:
            return
        super().record(steps.scheduler, None, None, engine_idx)
        cast(Counter, self.counter_generation_tokens[engine_idx]).inc(sum(steps.tokens))
        cast(Bulk, self.histogram_iteration_tokens[engine_idx]).observe_all(steps.tokens)
        if steps.gaps:
            cast(Bulk, self.histogram_inter_token_latency[engine_idx]).observe_all(steps.gaps)
        self._steps[engine_idx] = _Steps()


def _only_tokens(scheduler: SchedulerStats | None, iteration: IterationStats) -> bool:
    """Nothing else that would be counted."""
    began_or_ended = iteration.time_to_first_tokens_iter or iteration.finished_requests
    if began_or_ended or iteration.num_prompt_tokens or iteration.num_preempted_reqs:
        return False
    return scheduler is None or not (
        scheduler.prefix_cache_stats.queries
        or scheduler.connector_prefix_cache_stats
        or scheduler.kv_cache_eviction_events
        or scheduler.spec_decoding_stats
        or scheduler.kv_connector_stats
        or scheduler.ec_connector_stats
        or scheduler.perf_stats
    )
