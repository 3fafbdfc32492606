"""Arguments that come as plain text, one after the other, written as one JSON object.

The tool's JSON schema says what a text means: where it allows nothing but strings, the text is the string, passed on as
it comes. Anywhere else it is JSON, if it is that or what `json_scan` can mend, and a string if not. That is not known
before the text is whole, so it waits; so does a string that has to be one of some, or to match a pattern, and the
blanks around what waits are layout. Where a schema allows strings among others, only what is of one of the others is
not a string.
"""

import json
from collections.abc import Mapping

from server.parsing.json_scan import JsonScanner

Schema = Mapping[str, object]
_STRING = frozenset(("string",))
_CONSTRAINTS = frozenset(("enum", "const", "pattern", "format"))
_TYPES: Mapping[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    str: ("string",),
    list: ("array",),
    dict: ("object",),
    type(None): ("null",),
}


class TypedArguments:
    """`take` as `ArgumentsReader.take`. schema: of the object; None where it is not known."""

    def __init__(self, schema: Schema | None) -> None:
        properties = (schema or {}).get("properties")
        self._properties: Mapping[str, object] = properties if isinstance(properties, Mapping) else {}
        self._ready = ["{"]
        self._any = False
        self._flows = False  # the value is a string, whatever it is
        self._kinds: frozenset[str] | None = None  # that the schema allows here; None: whatever it is
        self._whole: list[str] = []  # of a value that is no certain string

    def begin(self, key: str) -> None:
        """A value comes."""
        schema = self._properties.get(key)
        self._kinds = kinds(schema)
        self._flows = self._kinds == _STRING and isinstance(schema, Mapping) and _CONSTRAINTS.isdisjoint(schema)
        lead = ", " if self._any else ""
        self._ready.append(f"{lead}{_dump(key)}: ")
        self._any = True
        if self._flows:
            self._ready.append('"')

    def feed(self, text: str) -> None:
        """A piece of the value."""
        if self._flows:
            self._ready.append(_dump(text)[1:-1])
        else:
            self._whole.append(text)

    def end(self) -> None:
        """The value is whole."""
        self._ready.append('"' if self._flows else _value("".join(self._whole), self._kinds))
        self._whole.clear()

    def close(self) -> None:
        """The object is whole."""
        self._ready.append("}")

    def take(self) -> str:
        text = "".join(self._ready)
        self._ready.clear()
        return text


def kinds(schema: object) -> frozenset[str] | None:
    """The types of JSON that a schema allows; None where it does not say."""
    if not isinstance(schema, Mapping):
        return None
    if isinstance(named := schema.get("type"), str):
        return frozenset((named,))
    if isinstance(named, list):
        return frozenset(map(str, named))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        return frozenset(kind for value in values for kind in _TYPES.get(type(value), ())[:1])
    return _kinds_of_union(schema.get("anyOf") or schema.get("oneOf"))


def _kinds_of_union(schemas: object) -> frozenset[str] | None:
    branches = [kinds(schema) for schema in schemas] if isinstance(schemas, list) else []
    known = [branch for branch in branches if branch is not None]
    return frozenset().union(*known) if known and len(known) == len(branches) else None


def _value(text: str, allowed: frozenset[str] | None) -> str:
    """JSON text."""
    text = text.strip()
    written = _as_json(text)
    return _dump(text) if written is None or _is_string(json.loads(written), allowed) else written


def _as_json(text: str) -> str | None:
    """The text, repaired where what was meant is plain; None where it is no JSON."""
    scanner = JsonScanner()
    end = scanner.feed(text + " ")  # a word is known to be whole by the character after it
    return scanner.take() if scanner.done and end >= len(text) else None


def _is_string(value: object, allowed: frozenset[str] | None) -> bool:
    """Whether a text is a string although it reads as `value`."""
    if allowed is None or "string" not in allowed:
        return False
    return isinstance(value, str) or allowed.isdisjoint(_TYPES[type(value)])


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
