"""All of our series by name, in base units."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.telemetry import buckets


class Families:
    """
    counters: labels of what is counted for each request.
    histograms: labels of what is measured; fewer, since each value costs a series per bucket.
    plan: the label of that name, or nothing.
    """

    def __init__(
        self, registry: CollectorRegistry, counters: Sequence[str], histograms: Sequence[str], plan: Sequence[str]
    ) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"electron_{name}", about, (*counters, *labels), registry=registry)

        def histogram(name: str, about: str, cuts: Sequence[float] = buckets.VOICE) -> Histogram:
            return Histogram(f"electron_{name}", about, histograms, buckets=cuts, registry=registry)

        self.in_flight = Gauge("electron_requests_in_flight", "Admitted, not yet ended.", histograms, registry=registry)
        self.requests = counter("requests", "Admitted requests by how they ended.", "outcome")
        self.disconnects = counter("disconnects", "Callers who hung up, before or after the first token.", "phase")
        self.tool_turns = counter("tool_turns", "Answers that call tools, by who spoke before the call.", "filler")
        self.tool_calls = counter("tool_calls", "Tool calls.")
        self.parse_failures = counter("parse_failures", "Tool calls that the model got wrong beyond repair.")
        self.structured_failures = counter("structured_output_failures", "Answers that miss the format asked for.")
        self.prompt = counter("prompt_tokens", "Prompt tokens, the cached ones included.")
        self.cached = counter("cached_tokens", "Prompt tokens found in the prefix cache.")
        self.generated = counter("generated_tokens", "Tokens that the engine generated.")
        self.delivered = counter("delivered_tokens", "Generated tokens that were handed to the transport.")

        self.ttft = histogram("time_to_first_token_seconds", "From admission to the first token.")
        self.gap = histogram(
            "inter_token_latency_seconds", "Between two steps of a request, per token.", buckets.TOKEN_GAP
        )
        self.clause = histogram("time_to_first_clause_seconds", "From admission to the first speakable clause.")
        self.tool_name = histogram("time_to_tool_name_seconds", "From admission to the name of the first tool.")
        self.duration = histogram("request_duration_seconds", "From admission to the end.", buckets.DURATION)
        self.rate = histogram(
            "output_tokens_per_second", "Of one request, after its first token.", buckets.TOKENS_PER_SECOND
        )
        self.hit_ratio = histogram("cache_hit_ratio", "Cached part of a request's prompt.", buckets.RATIO)

        self.refusals = Counter(
            "electron_refusals", "Requests answered with an error.", ("status", "type"), registry=registry
        )
        self.decisions = Counter(
            "electron_limit_decisions", "What was decided at the door.", (*plan, "decision"), registry=registry
        )
        self.store_up = Gauge("electron_limit_store_up", "1 while the store of the limits answers.", registry=registry)
        self.keys_good = Gauge("electron_keys_good", "0 while the key file cannot be used.", registry=registry)
        self.queued = Gauge(
            "electron_queued_prompt_tokens", "Of requests that wait for their first token.", registry=registry
        )
        self.ready = Gauge("electron_ready", "1 while requests are taken.", registry=registry)
        self.tasks = Gauge("electron_event_loop_tasks", "At work or waiting for something.", registry=registry)
        self.loop_lag = Histogram(
            "electron_event_loop_lag_seconds",
            "How late the event loop runs its tasks.",
            buckets=buckets.LOOP_LAG,
            registry=registry,
        )
        self.build = Gauge("electron_build_info", "Always 1.", ("version", "vllm_version"), registry=registry)
