"""JSON schemas of the request bodies, made of the table of fields; for the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from server.protocol.fields import CHAT_FIELDS, COMPLETION_FIELDS, Field

JsonSchema = dict[str, Any]


def chat_schema(models: Sequence[str] = ()) -> JsonSchema:
    """The body of POST …/chat/completions; self-contained, draft 2020-12. `models`: those served, where known."""
    return _schema(CHAT_FIELDS, models)


def completion_schema(models: Sequence[str] = ()) -> JsonSchema:
    """The body of POST …/completions; self-contained, draft 2020-12. `models`: those served, where known."""
    return _schema(COMPLETION_FIELDS, models)


def _schema(fields: Sequence[Field], models: Sequence[str]) -> JsonSchema:
    properties = {row.name: _property(row) for row in fields}
    if models:
        properties["model"]["enum"] = list(models)
    required = [row.name for row in fields if row.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": True}


def _property(row: Field) -> JsonSchema:
    if row.type is None:
        return {"description": "No effect."}
    schema = TypeAdapter(row.type).json_schema()
    plain = _inlined(schema, schema.pop("$defs", {}))
    return {**(plain if row.required else _nullable(plain)), "description": row.accepts}


def _nullable(schema: JsonSchema) -> JsonSchema:
    if not isinstance(schema.get("type"), str) and "enum" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = dict(schema)
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str):
        nullable["type"] = [schema["type"], "null"]
    return nullable


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """References replaced by what they stand for (none of ours is recursive), pydantic's titles dropped."""
    if isinstance(node, list):
        return [_inlined(child, definitions) for child in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    return {key: _inlined(child, definitions) for key, child in node.items() if not _is_title(key, child)}


def _is_title(key: str, child: Any) -> bool:
    return key == "title" and isinstance(child, str)
