"""The embedded model: a tiny Qwen3-architecture network of our own, its tokenizer and chat template as package data."""

from pathlib import Path


def model_path() -> Path:
    """The folder that holds the model, in the layout of a Hugging Face checkpoint. Imports nothing heavy."""
    return Path(__file__).resolve().parent
