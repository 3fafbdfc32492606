"""A request body to a request, or to all of its faults at once."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from server.errors import Detail, InvalidRequest
from server.protocol.body import JsonObject, deeper_than, read_object
from server.protocol.checks import chat_faults, completion_faults
from server.protocol.faults import bounded, path_of, read
from server.protocol.fields import CHAT_FIELDS, COMPLETION_FIELDS, Field
from server.protocol.limits import MAX_DEPTH, Limits
from server.protocol.requests import ChatRequest, CompletionRequest

Fields = Sequence[Field]
Reader = TypeAdapter[object]
Readers = Mapping[str, Reader]


def _readers(fields: Fields) -> Readers:
    return MappingProxyType({row.name: TypeAdapter(row.type) for row in fields if row.type is not None})


_CHAT, _COMPLETION = _readers(CHAT_FIELDS), _readers(COMPLETION_FIELDS)


def parse_chat(body: bytes, limits: Limits) -> ChatRequest:
    """
    Raises:
        InvalidRequest: with a detail for every fault of the body.
    """
    raw = read_object(body)
    values, faults = _members(raw, CHAT_FIELDS, _CHAT, limits)
    _refuse(chain(faults, chat_faults(raw, limits)))
    return ChatRequest(**values)


def parse_completion(body: bytes, limits: Limits) -> CompletionRequest:
    """
    Raises:
        InvalidRequest: with a detail for every fault of the body.
    """
    raw = read_object(body)
    values, faults = _members(raw, COMPLETION_FIELDS, _COMPLETION, limits)
    _refuse(chain(faults, completion_faults(raw, limits)))
    return CompletionRequest(**values)


def _members(raw: JsonObject, fields: Fields, readers: Readers, limits: Limits) -> tuple[dict[str, Any], list[Detail]]:
    """The well-formed members that have an effect, and the faults of the others."""
    deep = [name for name, value in raw.items() if deeper_than(value, MAX_DEPTH)]
    faults = [Detail("too_big", f"Nested more than {MAX_DEPTH} levels deep", path_of((name,))) for name in deep]
    most = limits.most_elements
    values: dict[str, Any] = {}
    for row in fields:
        if (value := raw.get(row.name)) is None:
            faults += [Detail("invalid_type", "Required", (row.name,))] if row.required else []
        elif row.name in readers and row.name not in deep:
            value, found = _member(readers[row.name], value, row.name, most.get(row.name))
            faults += found
            values.update({row.name: value} if row.status == "accepted" else {})
    return values, faults


def _member(reader: Reader, value: object, name: str, most: int | None) -> tuple[object, list[Detail]]:
    if most is None or not isinstance(value, list) or len(value) <= most:
        return read(reader, value, name)
    too_big = Detail("too_big", f"Array must contain at most {most} element(s), received {len(value)}", (name,))
    return None, [too_big, *read(reader, value[:most], name)[1]]


def _refuse(faults: Iterable[Detail]) -> None:
    if details := bounded(faults):
        raise InvalidRequest.of(details)
