"""Special tokens and tags that are neither spoken nor read, wherever a model writes them outside of a call."""

THOUGHT = ("<think>", "</think>")
MISTRAL_THOUGHT = ("[THINK]", "[/THINK]")
CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_response>", "</tool_response>")
LLAMA = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|python_end|>", "<|eot|>", "<|eom|>", "<|header_start|>", "<|header_end|>"),
)
MISTRAL = (
    *("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *THOUGHT,
)
GLM = (
    *("<|endoftext|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|system|>", "[gMASK]", "<sop>"),
    *("<tool_response>", "</tool_response>"),
)
DEEPSEEK = (
    *("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
    *("<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"),
)
HARMONY = ("<|startoftext|>", "<|endoftext|>")
