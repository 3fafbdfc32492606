"""The figures that bound a request."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_MESSAGES = 200
MAX_PARTS = 1024  # of the content of one message
MAX_TOOLS = 64
MAX_STOPS = 4
MAX_TOP_LOGPROBS = 20
MAX_BAD_WORDS = 64  # the engine makes up to two token sequences of each and takes 128
COMPLETION_TOKENS = 16  # what OpenAI's legacy route generates when nothing is asked
MAX_COUNT = 2**31 - 1  # of whatever the engine keeps in 32 bits
MAX_DEPTH = 64  # levels of JSON below one member of the body; the engine takes no deeper schema
MAX_VALUES = 2**18  # commas and opening brackets of a body: while the decoder makes a million objects no token goes out
MAX_CALLS = 128  # of one message
MAX_DETAILS = 256  # faults listed in one answer: a body of nothing but faults is not answered with a larger one


@dataclass(frozen=True, slots=True)
class Limits:
    """What this server serves. `vocab_size`: token ids are below it."""

    models: tuple[str, ...]
    vocab_size: int
    messages: int = MAX_MESSAGES
    tools: int = MAX_TOOLS
    stops: int = MAX_STOPS
    top_logprobs: int = MAX_TOP_LOGPROBS

    @property
    def most_elements(self) -> Mapping[str, int]:
        """Of members that are arrays. More of them are one fault, and are not read one by one."""
        return {
            "messages": self.messages,
            "tools": self.tools,
            "stop": self.stops,
            "bad_words": MAX_BAD_WORDS,
            "stop_token_ids": self.vocab_size,
            "allowed_token_ids": self.vocab_size,
        }
