"""The scenarios with the OpenAI SDK for Python and its streaming helper. Run in the client's own environment."""

import json
import sys

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="sk_test", max_retries=0)
scenarios = json.loads(sys.argv[2])


def turn(scenario: dict, echoed: list[dict]) -> dict:
    request = {**scenario["request"], "messages": [*scenario["request"]["messages"], *echoed]}
    order, text, pieces = [], "", {}
    with client.chat.completions.stream(**request) as stream:
        for event in stream:
            if event.type != "chunk":
                continue
            for choice in event.chunk.choices:
                if choice.delta.content:
                    order.append("words")
                    text += choice.delta.content
                    if scenario.get("interrupt"):
                        return {"text": text, "order": order, "calls": []}
                for call in choice.delta.tool_calls or []:
                    order.append("call")
                    pieces.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
                    pieces[call.index]["arguments"] += call.function.arguments or ""
    return {"text": text, "order": order, "calls": list(pieces.values())}


def echo(seen: dict) -> list[dict]:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in seen["calls"]
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": '{"ok": true}'} for call in seen["calls"]]
    return [{"role": "assistant", "content": seen["text"], "tool_calls": calls}, *results]


seen = {}
for name, scenario in scenarios.items():
    earlier = [message for before in scenario.get("after", []) for message in echo(seen[before])]
    seen[name] = turn(scenario, earlier)
print(json.dumps(seen))
