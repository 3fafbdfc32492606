"""The engine room: everything that touches vLLM."""
