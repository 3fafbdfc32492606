"""How each family writes a call, for a grammar that has to make the model write one."""

from server.parsing import deepseek, mistral
from server.records import CallGrammar

HERMES = CallGrammar(
    "<tool_call>", '<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", separator="\n", after_words="\n"
)
LLAMA_JSON = CallGrammar('{"name": "', '{"name": "', '", "parameters": ', "}", separator="; ")
LLAMA_PYTHONIC = CallGrammar("[", "", "(", ")", "[", ", ", "]", style="keywords", in_json=LLAMA_JSON)
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
    after_words="\n",
    in_json=HERMES,
)
GLM = CallGrammar(
    "<tool_call>",
    "<tool_call>",
    "\n",
    "</tool_call>",
    separator="\n",
    style="glm_xml",
    after_words="\n",
    in_json=HERMES,
)
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
    "",  # `<|call|>` ends the answer, so that none of it comes in the text
    separator="<|call|><|start|>assistant",
    before_words="<|channel|>commentary<|message|>",
    after_words="<|end|><|start|>assistant",
)
