"""How each family writes a call, for a grammar that has to make the model write one."""

from dataclasses import dataclass
from typing import Literal

from server.parsing import deepseek, mistral

Style = Literal["json", "qwen_xml", "glm_xml", "keywords"]


@dataclass(frozen=True, slots=True)
class CallGrammar:
    """`opening`, calls with `separator` between them, `closing`. A call is `begin` NAME `middle` ARGUMENTS `end`.

    trigger: begins every call, and nothing that is spoken; a beginning of `opening + begin`.
    style: of the arguments, as xgrammar's `json_schema` format names it, but for "keywords": `key=value, …`, the values
        JSON, for which it has no name.
    before_words, after_words: what must stand around words that are spoken before the calls.
    """

    trigger: str
    begin: str
    middle: str
    end: str
    opening: str = ""
    separator: str = ""
    closing: str = ""
    style: Style = "json"
    before_words: str = ""
    after_words: str = ""


HERMES = CallGrammar("<tool_call>", '<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", separator="\n")
LLAMA_JSON = CallGrammar('{"name": "', '{"name": "', '", "parameters": ', "}", separator="; ")
LLAMA_PYTHONIC = CallGrammar("[", "", "(", ")", "[", ", ", "]", style="keywords")
MISTRAL = CallGrammar(mistral.CALLS, mistral.CALLS, "[ARGS]", "")
MISTRAL_ARRAY = CallGrammar(
    mistral.CALLS, '{"name": "', '", "arguments": ', "}", opening=mistral.CALLS + "[", separator=", ", closing="]"
)
QWEN_CODER = CallGrammar(
    "<tool_call>",
    "<tool_call>\n<function=",
    ">\n",
    "\n</function>\n</tool_call>",
    separator="\n",
    style="qwen_xml",
)
GLM = CallGrammar("<tool_call>", "<tool_call>", "\n", "</tool_call>", separator="\n", style="glm_xml")
DEEPSEEK_V3 = CallGrammar(
    deepseek.CALLS_BEGIN,
    f"{deepseek.CALL_BEGIN}function{deepseek.SEPARATOR}",
    "\n```json\n",
    f"\n```{deepseek.CALL_END}",
    opening=deepseek.CALLS_BEGIN,
    separator="\n",
    closing=deepseek.CALLS_END,
)
DEEPSEEK_V31 = CallGrammar(
    deepseek.CALLS_BEGIN,
    deepseek.CALL_BEGIN,
    deepseek.SEPARATOR,
    deepseek.CALL_END,
    opening=deepseek.CALLS_BEGIN,
    closing=deepseek.CALLS_END,
)
HARMONY = CallGrammar(
    "<|channel|>commentary to=functions.",
    "<|channel|>commentary to=functions.",
    " <|constrain|>json<|message|>",
    "<|call|>",
    separator="<|start|>assistant",
    before_words="<|channel|>commentary<|message|>",
    after_words="<|end|><|start|>assistant",
)
