"""Where histograms are cut: fine where a voice agent's quality is decided, coarse elsewhere. In seconds."""

# From 100 to 300 ms each step can be heard as a pause that is a little longer.
VOICE = (0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
TOKEN_GAP = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
DURATION = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
LOOP_LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)

TOKENS_PER_SECOND = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
RATIO = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def vllm_buckets() -> dict[str, list[float]]:
    """For vLLM's `custom_histogram_buckets`.

    Its own lists have nothing between 100 and 250 ms for the TTFT, and for the time in the queue nothing below 300 ms.
    """
    return {
        "time_to_first_token": [*VOICE, 30.0, 60.0],
        "inter_token_latency": list(TOKEN_GAP),
        "request_latency": [*VOICE, 15.0, 30.0, 60.0, 120.0],
    }
