"""The scenarios with pipecat's `SmallestLLMService` in a pipeline. Run in the client's own environment."""

import asyncio
import json
import sys

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import ErrorFrame, FunctionCallsStartedFrame, LLMContextFrame, LLMTextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.smallest.llm import SmallestLLMService
from pipecat.tests.utils import run_test

logger.remove()


class Listener(FrameProcessor):
    """Where the text-to-speech would stand. Frames of calls overtake those of words: their ids tell the order."""

    def __init__(self, interrupt: bool, seen: dict) -> None:
        super().__init__()
        self._interrupt = interrupt
        self._seen = seen

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self._seen["error"] = frame.error
        if isinstance(frame, LLMTextFrame) and not (self._interrupt and self._seen["text"]):
            self._seen["text"] += frame.text
            self._seen["order"].append((frame.id, "words"))
            if self._interrupt:
                await self.broadcast_interruption()
        if isinstance(frame, FunctionCallsStartedFrame):
            self._seen["order"] += [(frame.id, "call") for _ in frame.function_calls]
        await self.push_frame(frame, direction)


def schema_of(wire: dict) -> FunctionSchema:
    function = wire["function"]
    parameters = function["parameters"]
    return FunctionSchema(
        name=function["name"],
        description=function.get("description", ""),
        properties=parameters["properties"],
        required=parameters.get("required", []),
    )


def echo(seen: dict) -> list[dict]:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in seen["calls"]
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": '{"ok": true}'} for call in seen["calls"]]
    return [{"role": "assistant", "content": seen["text"]}, {"role": "assistant", "tool_calls": calls}, *results]


async def turn(url: str, scenario: dict, earlier: list[dict]) -> dict:
    request = dict(scenario["request"])
    messages = [*request.pop("messages"), *(message for before in earlier for message in echo(before))]
    tools = ToolsSchema(standard_tools=[schema_of(wire) for wire in request.pop("tools", [])])
    choice = request.pop("tool_choice", "auto")
    request.pop("model")
    service = SmallestLLMService(
        api_key="sk_test", base_url=url, settings=SmallestLLMService.Settings(model="electron", extra=request)
    )
    seen: dict = {"text": "", "order": [], "calls": []}

    async def carried_out(params) -> None:
        arguments = json.dumps(params.arguments)
        seen["calls"].append({"id": params.tool_call_id, "name": params.function_name, "arguments": arguments})
        await params.result_callback({"ok": True})

    for schema in tools.standard_tools:
        service.register_function(schema.name, carried_out)
    context = LLMContext(messages, tools, choice) if tools.standard_tools else LLMContext(messages)
    pipeline = Pipeline([service, Listener(scenario.get("interrupt", False), seen)])
    await run_test(pipeline, frames_to_send=[LLMContextFrame(context)], start_timeout=60)
    assert "error" not in seen, seen
    seen["order"] = [kind for _, kind in sorted(set(seen["order"]))]
    return seen


async def main() -> None:
    seen = {}
    for name, scenario in json.loads(sys.argv[2]).items():
        seen[name] = await turn(sys.argv[1], scenario, [seen[before] for before in scenario.get("after", [])])
    print(json.dumps(seen))


asyncio.run(main())
