"""Decode attention that reads a shared prompt once, as a backend of vLLM's. See README.md."""

CONFIG = "shared_prefix_attention"  # in vLLM's `additional_config`: {"gate": a table, "counters": a path}
BACKEND = "kernels.shared_prefix_attention.backend.SharedPrefixBackend"


def activate() -> None:
    """A plugin of vLLM: say in each of its processes what the backend CUSTOM is. Chosen it is by an engine argument."""
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    register_backend(AttentionBackendEnum.CUSTOM, BACKEND)
