"""What a chat template tells of the language in which its model calls."""

import re

from server.parsing.deepseek import CALL_BEGIN
from server.parsing.mistral import CALLS

_ARRAY = re.compile(rf"{re.escape(CALLS)}\s?\[(?!A|C)")
_KEYWORDS = re.compile(r"\[\s*\w+\(\w+\s*=")
_LLAMA = ("<|python_tag|>", "<|python_start|>", "<|start_header_id|>", "<|header_start|>")


def hermes(template: str) -> bool:
    """`<tool_call>` with JSON inside; Qwen3-Coder and GLM put tags there."""
    json_inside = "<function=" not in template and "<arg_key>" not in template
    return json_inside and "<tool_call>" in template and "arguments" in template


def qwen_coder(template: str) -> bool:
    return "<tool_call>" in template and "<function=" in template and "<parameter=" in template


def glm(template: str) -> bool:
    return "<tool_call>" in template and "<arg_key>" in template


def llama_json(template: str) -> bool:
    return _llama(template) and "parameters" in template


def llama_pythonic(template: str) -> bool:
    return _llama(template) and _KEYWORDS.search(template) is not None


def mistral(template: str) -> bool:
    return CALLS in template


def mistral_array(template: str) -> bool:
    return _ARRAY.search(template) is not None


def deepseek_v3(template: str) -> bool:
    return CALL_BEGIN in template and "```json" in template


def deepseek_v31(template: str) -> bool:
    return CALL_BEGIN in template


def harmony(template: str) -> bool:
    return "<|channel|>" in template and "<|message|>" in template


def anything(template: str) -> bool:
    return True


def _llama(template: str) -> bool:
    return any(token in template for token in _LLAMA)
