"""vLLM's own tool parsers, for the families that the house has none for.

Only their reading of a whole text is used: what they make of a stream depends on how it is split. So no arguments come
before the end of the answer; they are as vLLM writes them, parsed and written anew; and some of its parsers complete a
call that was cut short, which `WholeText` in the parsing room can only partly see.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from transformers import PreTrainedTokenizerBase
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tokenizers import TokenizerLike
from vllm.tokenizers.hf import HfTokenizer, get_cached_tokenizer
from vllm.tool_parsers import ToolParserManager
from vllm.tool_parsers.utils import Tool

Extract = Callable[[str], tuple[str, Sequence[tuple[str, str]]] | None]
Schemas = Mapping[str, Mapping[str, object]]

_log = logging.getLogger(__name__)


def parser_names() -> Sequence[str]:
    """All that vLLM has."""
    return ToolParserManager.list_registered()


class VllmParser:
    """One of them, for one tokenizer.

    Args:
        name: one of `parser_names`.
        tokenizer: the model's.

    Raises:
        KeyError: no parser of that name.
        Exception: of the parser's own kinds, when the tokenizer lacks its tokens.
    """

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self._name = name
        self._make = ToolParserManager.get_tool_parser(name)
        # Each answer asks for the vocabulary. vLLM's types know neither the base class nor what comes back.
        self._tokenizer = cast(TokenizerLike, get_cached_tokenizer(cast(HfTokenizer, tokenizer)))
        request = _request({"f": {"type": "object"}})
        parser = self._make(self._tokenizer, _tools(request))
        self.needs_special_tokens = not parser.adjust_request(request).skip_special_tokens
        """Whether the parser's markers are special tokens, which the engine must then leave in the text."""

    def extractor(self, schemas: Schemas) -> Extract:
        """Reads a whole answer: the speech in it, and its calls by name and arguments; None where the parser gives up.

        schemas: of the arguments of the tools on offer, by name.
        """
        request = _request(schemas)
        tools = _tools(request)

        def extract(text: str) -> tuple[str, Sequence[tuple[str, str]]] | None:
            try:
                found = self._make(self._tokenizer, tools).extract_tool_calls(text, request)
            except Exception as error:  # foreign code, fed with whatever a model writes
                _log.warning("vLLM's parser %s failed: %s", self._name, type(error).__name__)
                return None
            calls = [(call.function.name, call.function.arguments) for call in found.tool_calls]
            return found.content or "", calls

        return extract


def _tools(request: ChatCompletionRequest) -> list[Tool]:
    return [*(request.tools or ())]


def _request(schemas: Schemas) -> ChatCompletionRequest:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": dict(schema)}} for name, schema in schemas.items()
    ]
    messages = [{"role": "user", "content": ""}]
    return ChatCompletionRequest.model_validate({"messages": messages, "model": "", "tools": tools or None})
