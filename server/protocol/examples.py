"""Values for the table of fields: what callers send."""

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "look"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}
PARTS = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


def tools(count: int) -> list[dict[str, object]]:
    return [{"type": "function", "function": {"name": f"tool_{i}"}} for i in range(count)]
