"""Arguments that come as plain text, one after the other, written as one JSON object.

The tool's JSON schema says what a text means: where it allows nothing but strings, the text is the string, passed on as
it comes. Anywhere else it is JSON, or a word of Python's for true, false and null, if it parses; and a string if not.
That cannot be known before the text is whole, so it waits. Where a schema allows strings among others, only what is of
one of the others is not a string.
"""

import json
from collections.abc import Mapping

Schema = Mapping[str, object]
_STRING = frozenset(("string",))
_WORDS = {"True": True, "False": False, "None": None}
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
        self._kinds: frozenset[str] | None = None  # that the schema allows here; None: whatever it is
        self._whole: list[str] = []  # of a value that is no certain string

    def begin(self, key: str) -> None:
        """A value comes."""
        self._kinds = kinds(self._properties.get(key))
        lead = ", " if self._any else ""
        self._ready.append(f"{lead}{_dump(key)}: ")
        self._any = True
        if self._is_string:
            self._ready.append('"')

    def feed(self, text: str) -> None:
        """A piece of the value."""
        if self._is_string:
            self._ready.append(_dump(text)[1:-1])
        else:
            self._whole.append(text)

    def end(self) -> None:
        """The value is whole."""
        self._ready.append('"' if self._is_string else _value("".join(self._whole), self._kinds))
        self._whole.clear()

    def close(self) -> None:
        """The object is whole."""
        self._ready.append("}")

    def take(self) -> str:
        text = "".join(self._ready)
        self._ready.clear()
        return text

    @property
    def _is_string(self) -> bool:
        return self._kinds == _STRING


def kinds(schema: object) -> frozenset[str] | None:
    """The types of JSON that a schema allows; None where it does not say."""
    if not isinstance(schema, Mapping):
        return None
    if isinstance(named := schema.get("type"), str):
        return frozenset((named,))
    if isinstance(named, list):
        return frozenset(map(str, named))
    if isinstance(values := schema.get("enum"), list) and values:
        return frozenset(kind for value in values for kind in _TYPES.get(type(value), ())[:1])
    return _kinds_of_union(schema.get("anyOf") or schema.get("oneOf"))


def _kinds_of_union(schemas: object) -> frozenset[str] | None:
    branches = [kinds(schema) for schema in schemas] if isinstance(schemas, list) else []
    known = [branch for branch in branches if branch is not None]
    return frozenset().union(*known) if known and len(known) == len(branches) else None


def _value(text: str, allowed: frozenset[str] | None) -> str:
    """JSON text."""
    words = text.strip()
    try:
        value = _WORDS[words] if words in _WORDS else json.loads(words, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _dump(text)
    if allowed is not None and "string" in allowed and not _is_other(value, allowed):
        return _dump(text)
    return _dump(value) if words in _WORDS else words


def _is_other(value: object, allowed: frozenset[str]) -> bool:
    return not isinstance(value, str) and not allowed.isdisjoint(_TYPES[type(value)])


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
