"""From a valid request to the engine's input: token ids, sampling, and the grammar that the output must match."""

from server.prompt.builder import PromptBuilder, load_prompt_builder
from server.prompt.sampling import sampling_of

__all__ = ["PromptBuilder", "load_prompt_builder", "sampling_of"]
