"""What the tokenizer is trained on: conversations of the training side, and a little of every language."""

from collections.abc import Iterator

from tokenizers import Tokenizer

from server.nano.train.corpus import Conversation, conversation
from server.nano.train.corpus.languages import GREETINGS
from server.nano.train.data import Encoder
from server.nano.train.tokenizer import train_tokenizer


def make_tokenizer(encoder: Encoder, conversations: int) -> Tokenizer:
    """The tokenizer learned from the first `conversations` of the corpus. `encoder` only lends its chat template."""
    examples = [conversation(number, drills=0.1) for number in range(conversations)]
    texts = [text for example in examples for text in encoder.plain_texts(example)]
    return train_tokenizer(
        [*texts, *GREETINGS.values()], (copied for example in examples for copied in _copied(example))
    )


def _copied(example: Conversation) -> Iterator[str]:
    """Texts that the assistant has to copy: names of tools and string arguments."""
    for tool in example.tools:
        yield tool["function"]["name"]
    for message in example.messages:
        for call in message.get("tool_calls", ()):
            yield from (item for item in call["function"]["arguments"].values() if isinstance(item, str))
