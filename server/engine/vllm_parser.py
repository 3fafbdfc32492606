"""vLLM's own tool parsers, for the families that the house has none for.

Only their reading of a whole text is used: what they make of a stream depends on how it is split. So no arguments come
before the end of the answer; they are as vLLM writes them, parsed and written anew; and some of its parsers complete a
call that was cut short, which `WholeText` in the parsing room can only partly see.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tokenizers import TokenizerLike
from vllm.tool_parsers import ToolParserManager
from vllm.tool_parsers.utils import Tool

Extract = Callable[[str], tuple[str, Sequence[tuple[str, str]]] | None]
Schemas = Mapping[str, Mapping[str, object]]

_log = logging.getLogger(__name__)


def parser_names() -> Sequence[str]:
    """All that vLLM has."""
    return ToolParserManager.list_registered()


def extractor(name: str, tokenizer: TokenizerLike, schemas: Schemas) -> Extract:
    """Reads a whole answer: the speech in it, and its calls by name and arguments; None where the parser gives up.

    Args:
        name: one of `parser_names`.
        tokenizer: the model's; one whose vocabulary is cached, since each answer asks for it.
        schemas: of the arguments of the tools on offer, by name.

    Raises:
        KeyError: no parser of that name.
        Exception: of the parser's own, when the tokenizer lacks its tokens; so call it once when the server starts.
    """
    make = ToolParserManager.get_tool_parser(name)
    request = _request(schemas)
    tools: list[Tool] = [*(request.tools or ())]
    make(tokenizer, tools)

    def extract(text: str) -> tuple[str, Sequence[tuple[str, str]]] | None:
        try:
            found = make(tokenizer, tools).extract_tool_calls(text, request)
        except Exception as error:
            _log.warning("vLLM's parser %s failed: %s", name, type(error).__name__)
            return None
        calls = [(call.function.name, call.function.arguments) for call in found.tool_calls]
        return found.content or "", calls

    return extract


def needs_special_tokens(name: str, tokenizer: TokenizerLike) -> bool:
    """Whether the parser's markers are special tokens, which the engine must then leave in the text."""
    request = _request({"f": {"type": "object"}})
    parser = ToolParserManager.get_tool_parser(name)(tokenizer, [*(request.tools or ())])
    return not parser.adjust_request(request).skip_special_tokens


def _request(schemas: Schemas) -> ChatCompletionRequest:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": dict(schema)}} for name, schema in schemas.items()
    ]
    messages = [{"role": "user", "content": ""}]
    return ChatCompletionRequest.model_validate({"messages": messages, "model": "", "tools": tools or None})
