"""Operators that vLLM runs for us: `cpu` (a platform without a GPU)."""
