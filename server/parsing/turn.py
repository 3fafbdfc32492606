"""The parser that a request asks for."""

from server.parsing.base import Parser
from server.parsing.families import Family
from server.parsing.making import make_parser
from server.parsing.speakable import Speakable
from server.protocol import ChatRequest
from server.records import Prompt
from server.settings import SpeechSettings


def turn_parser(family: Family, request: ChatRequest, prompt: Prompt, speech: SpeechSettings) -> Parser:
    """For the answer to a chat request."""
    tools = bool(request.tools) and request.tool_choice != "none"
    guided = request.response_format.kind != "text"
    parser = make_parser(
        family,
        tools=tools,
        verbatim=guided,
        schemas={tool.name: tool.parameters or {} for tool in request.tools},
        thinking_open=family.opens_thought(prompt.tail),
    )
    voice = tools or prompt.spoken
    if guided or not (speech.guard == "always" or (speech.guard == "voice" and voice)):
        return parser
    return Speakable(parser, tools=tools, strip_markdown=speech.strip_markdown)


def most_calls(request: ChatRequest) -> int | None:
    """None: as many as the model likes. A forced call is exactly one, as Electron documents it."""
    single = not request.parallel_tool_calls or request.tool_choice not in ("auto", "none")
    return 1 if single else None
