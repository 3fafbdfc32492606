"""Schemas that cannot be kept exactly, where that was not promised: what can be kept of them."""

from collections.abc import Callable, Iterable

import orjson

from server.prompt.kept import Compilable
from server.prompt.schema import Path, SchemaError

ANY_OBJECT = b'{"type":"object"}'

_ROUNDS = 4  # a keyword that goes may let another fault be seen
_NAMED = ("properties", "patternProperties", "$defs", "definitions")


def relaxed(schema: bytes, grammar_of: Callable[[bytes], Compilable]) -> Compilable:
    """The grammar of a schema without the keywords that stand in its way, or that of any object.

    Raises:
        SchemaError: this is no schema at all.
    """
    left = schema
    for _ in range(_ROUNDS):
        try:
            return grammar_of(left)
        except SchemaError as error:
            if left == schema and any(fault.malformed for fault in error.faults):
                raise
            left = _without(left, [fault.path for fault in error.faults])
    return grammar_of(ANY_OBJECT)


def _without(schema: bytes, paths: Iterable[Path]) -> bytes:
    root = orjson.loads(schema)
    for path in paths:
        _drop(root, path)
    return orjson.dumps(root)


def _drop(node: object, path: Path) -> None:
    """Schemas that have a name of their own are emptied instead, so that who needs them finds them."""
    for step in path[:-1]:
        node = _inside(node, step)
    if path and isinstance(node, dict) and path[-1] in node:
        if path[-2:-1] and path[-2] in _NAMED:
            node[path[-1]] = {}
        else:
            del node[path[-1]]


def _inside(node: object, step: str) -> object:
    if isinstance(node, list):
        return node[int(step)] if step.isdecimal() and int(step) < len(node) else None
    return node.get(step) if isinstance(node, dict) else None
