"""Models whose calls vLLM's parsers read and the house's do not."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from server.parsing.base import NewId, Parser
from server.parsing.families import Family, Schemas
from server.parsing.whole import Extract, WholeText

FOREIGN = "vllm:"  # begins the name of a family whose parser is vLLM's

# A marker that no other family's template has, and vLLM's name for the parser.
MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "<|tool_calls_section_begin|>": "kimi_k2",
        "<minimax:tool_call>": "minimax_m2",
        "<seed:tool_call>": "seed_oss",
        "<longcat_tool_call>": "longcat",
        "<|tool_call_start|>": "lfm2",
        "<|START_ACTION|>": "cohere_command3",
        "<|tools_prefix|>": "apertus",
        "<start_function_call>": "functiongemma",
        "<steptml:invoke": "step3",
        "<function_calls>": "olmo3",
        "<|plugin|>": "internlm",
        "<|bom|>": "jamba",
        "<tool_calls>": "hunyuan_a13b",
        "<|/tool|>": "phi4_mini_json",
        "<|tool_call|>": "granite",
    }
)


def detect_foreign(chat_template: str) -> str | None:
    """`FOREIGN` and vLLM's name for the parser of a template that none of ours speaks; None where it is unknown."""
    return next((FOREIGN + name for marker, name in MARKERS.items() if marker in chat_template), None)


def foreign_family(extractor: Callable[[Schemas], Extract], special_tokens: bool) -> Family:
    """special_tokens: as in `Family`."""

    def calls(new_id: NewId, schemas: Schemas) -> Parser:
        return WholeText(extractor(schemas), new_id)

    return Family(calls, speaks=lambda template: False, special_tokens=special_tokens)
