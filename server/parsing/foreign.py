"""Models whose calls vLLM's parsers read and the house's do not, by what their chat templates hold."""

from collections.abc import Mapping
from types import MappingProxyType

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
    """vLLM's name for the parser of a template that `detect` takes for "plain"; None where it is not recognisable."""
    return next((name for marker, name in MARKERS.items() if marker in chat_template), None)
