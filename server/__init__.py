"""A self-hosted chat-completions server for voice agents."""

__version__ = "0.1.0"
