"""The metrics page."""

from prometheus_client import CollectorRegistry, generate_latest

# Always the classic format: in OpenMetrics the client library would rename vLLM's `vllm:x` to `vllm_x`, and every
# dashboard and gateway that asks for the colon goes blank.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(registry: CollectorRegistry) -> bytes:
    """All series of the registry, in text format 0.0.4."""
    return generate_latest(registry)
