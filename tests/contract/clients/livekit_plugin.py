"""The scenarios with LiveKit's `openai.LLM`. Run in the client's own environment."""

import asyncio
import json
import sys

from livekit.agents.llm import ChatContext, FunctionCall, FunctionCallOutput, function_tool
from livekit.plugins import openai


def tool_of(wire: dict):
    async def carried_out(raw_arguments: dict[str, object]) -> str:
        return '{"ok": true}'

    return function_tool(carried_out, raw_schema=wire["function"])


async def turn(llm: openai.LLM, scenario: dict, earlier: list[dict]) -> dict:
    request = dict(scenario["request"])
    context = ChatContext()
    for message in request.pop("messages"):
        context.add_message(role=message["role"], content=message["content"])
    for before in earlier:
        context.add_message(role="assistant", content=before["text"])
        for call in before["calls"]:
            context.items.append(FunctionCall(call_id=call["id"], name=call["name"], arguments=call["arguments"]))
        for call in before["calls"]:
            output = FunctionCallOutput(call_id=call["id"], name=call["name"], output='{"ok": true}', is_error=False)
            context.items.append(output)
    request.pop("model")
    tools, choice = [tool_of(wire) for wire in request.pop("tools", [])], request.pop("tool_choice", "auto")
    seen = {"text": "", "order": [], "calls": []}
    stream = llm.chat(chat_ctx=context, tools=tools, tool_choice=choice, extra_kwargs=request)
    async with stream:
        async for chunk in stream:
            delta = chunk.delta
            if delta and delta.content:
                seen["text"] += delta.content
                seen["order"].append("words")
                if scenario.get("interrupt"):
                    break
            for call in delta.tool_calls if delta else []:
                seen["calls"].append({"id": call.call_id, "name": call.name, "arguments": call.arguments})
                seen["order"].append("call")
    return seen


async def main() -> None:
    llm, seen = openai.LLM(model="electron", base_url=sys.argv[1], api_key="sk_test"), {}
    for name, scenario in json.loads(sys.argv[2]).items():
        seen[name] = await turn(llm, scenario, [seen[before] for before in scenario.get("after", [])])
    await llm.aclose()
    print(json.dumps(seen))


asyncio.run(main())
