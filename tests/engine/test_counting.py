"""Steps that are written down together leave the series that vLLM's own logger leaves."""

import random

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from vllm.config import VllmConfig
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine import FinishReason
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import FinishedRequestStats, IterationStats, PrefixCacheStats, SchedulerStats

from server.engine.counting import AGE, Bulk, GroupedStats
from server.engine.options import engine_args
from server.nano import model_path
from server.settings import Settings
from server.telemetry.buckets import vllm_buckets


@pytest.fixture(scope="module")
def config() -> VllmConfig:
    settings = Settings(engine={"dtype": "float32", "kv_cache_memory_bytes": 1 << 28})
    args = engine_args(str(model_path()), settings.model, settings.engine, vllm_buckets())
    return args.create_engine_config(UsageContext.OPENAI_API_SERVER)


def further(moment: float, gaps: list[float]) -> tuple[SchedulerStats, IterationStats]:
    iteration = IterationStats()
    iteration.iteration_timestamp = moment
    iteration.num_generation_tokens = len(gaps)
    iteration.inter_token_latencies_iter = gaps
    return SchedulerStats(num_running_reqs=len(gaps), kv_cache_usage=len(gaps) / 8), iteration


def first(moment: float, gaps: list[float]) -> tuple[SchedulerStats, IterationStats]:
    scheduler, iteration = further(moment, gaps)
    iteration.time_to_first_tokens_iter = [0.1]
    scheduler.prefix_cache_stats = PrefixCacheStats(requests=1, queries=40, hits=32)
    return scheduler, iteration


def last(moment: float, gaps: list[float]) -> tuple[SchedulerStats, IterationStats]:
    scheduler, iteration = further(moment, gaps)
    iteration.finished_requests = [FinishedRequestStats(FinishReason.STOP, num_generation_tokens=5)]
    return scheduler, iteration


def steps() -> list[tuple[SchedulerStats, IterationStats]]:
    chance, moment, made = random.Random(3), 100.0, []
    for _ in range(400):
        moment += chance.uniform(0, AGE / 4)
        gaps = [chance.expovariate(50) for _ in range(chance.randrange(9))]
        made.append(chance.choices((further, first, last), (8, 1, 1))[0](moment, gaps))
    return [*made, last(moment, [0.01])]


def series(logger: PrometheusStatLogger) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """As of these loggers alone; without the moments at which series were made."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        if family.name.startswith("vllm:")
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_the_series_are_those_of_vllms_own_logger(config: VllmConfig) -> None:
    seen = []
    for kind in (PrometheusStatLogger, GroupedStats):
        logger = kind(config, [0])
        for scheduler, iteration in steps():
            logger.record(scheduler, iteration, None, 0)
        seen.append(series(logger))
    own, grouped = seen
    assert grouped.keys() == own.keys() and len(own) > 100
    assert grouped == pytest.approx(own)


def test_nothing_is_kept_back_for_longer_than_gateways_look_away(config: VllmConfig) -> None:
    logger = GroupedStats(config, [0])
    name = "vllm:generation_tokens_total"
    labels = {"model_name": config.model_config.served_model_name, "engine": "0"}
    logger.record(*further(10.0, [0.01] * 3), None, 0)
    logger.record(*further(10.0 + AGE / 2, [0.01] * 4), None, 0)
    assert REGISTRY.get_sample_value(name, labels) == 0
    logger.record(*further(10.0 + AGE, [0.01] * 5), None, 0)
    assert REGISTRY.get_sample_value(name, labels) == 12


def test_many_values_at_once_fall_into_the_places_of_each() -> None:
    values = [0.0, 0.1, 0.1, 0.25, 0.5, 7.0, 1000.0]
    pages = []
    for together in (False, True):
        registry = CollectorRegistry()
        histogram = Bulk("h", "of values", buckets=(0.1, 0.5, 5), registry=registry)
        if together:
            histogram.observe_all(values)
        else:
            for value in values:
                histogram.observe(value)
        pages.append([line for line in generate_latest(registry).splitlines() if b"created" not in line])
    assert pages[0] == pages[1]
