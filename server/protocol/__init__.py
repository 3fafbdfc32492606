"""The wire format: what a request may say, and what it then is."""

from server.protocol.fields import CHAT_FIELDS, COMPLETION_FIELDS, Field
from server.protocol.limits import Limits
from server.protocol.messages import Message, Role, ToolCallIn
from server.protocol.options import FillerOptions, StreamOptions
from server.protocol.parse import parse_chat, parse_completion
from server.protocol.requests import ChatRequest, CompletionRequest
from server.protocol.schema import chat_schema, completion_schema
from server.protocol.tools import NamedTool, ResponseFormat, Tool, ToolChoice

__all__ = [
    "CHAT_FIELDS",
    "COMPLETION_FIELDS",
    "ChatRequest",
    "CompletionRequest",
    "Field",
    "FillerOptions",
    "Limits",
    "Message",
    "NamedTool",
    "ResponseFormat",
    "Role",
    "StreamOptions",
    "Tool",
    "ToolCallIn",
    "ToolChoice",
    "chat_schema",
    "completion_schema",
    "parse_chat",
    "parse_completion",
]
