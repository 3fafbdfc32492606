"""The keywords of JSON Schema (2020-12): which are understood, which only describe, and what form each must have."""

import math
from collections.abc import Callable, Mapping
from itertools import chain

MAX_COUNT = 10_000  # items, characters: what the grammar compiler can still count

JsonObject = Mapping[str, object]

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")

# Keywords that say something about values of one type only.
OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties"),
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
COMBINERS = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
DEFINITIONS = ("$defs", "definitions")

SAYING = frozenset(("type", *COMBINERS, *chain.from_iterable(OF_TYPE.values())))

# What the grammar compiler would ignore, each with the values that say nothing.
UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "multipleOf": (),
    "uniqueItems": (False,),
    "contains": (),
    "not": (False,),
    "if": (),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
    "unevaluatedProperties": (True,),
    "unevaluatedItems": (True,),
    "$dynamicRef": (),
    "$recursiveRef": (),
}

FORMATS = frozenset(
    {
        *("email", "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid"),
        *("uri", "uri-reference", "uri-template", "json-pointer", "relative-json-pointer"),
    }
)


def fault_of_form(keyword: str, value: object) -> str | None:
    """What a keyword's value should have been, where it is not."""
    expected, is_so = _FORMS.get(keyword, ("", lambda _: True))
    return None if is_so(value) else f"expected {expected}"


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_schema(value: object) -> bool:
    return isinstance(value, bool | dict)


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _is_map_of_schemas(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and is_number(value) and value == int(value) and 0 <= value <= MAX_COUNT


def _is_type(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_Form = tuple[str, Callable[[object], bool]]
_COUNT: _Form = (f"a whole number from 0 to {MAX_COUNT}", _is_count)
_NUMBER: _Form = ("a number", is_number)
_SCHEMA: _Form = ("a schema", _is_schema)
_SCHEMAS: _Form = ("a list of schemas, not empty", _are_schemas)
_MAP: _Form = ("an object of schemas", _is_map_of_schemas)
_TEXT: _Form = ("a string", lambda value: isinstance(value, str))

_FORMS: Mapping[str, _Form] = {
    "type": (f"one of {', '.join(TYPES)}, or a list of them", _is_type),
    "enum": ("a list, not empty", lambda value: isinstance(value, list) and bool(value)),
    "required": ("a list of strings", _are_names),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(OF_TYPE["number"], _NUMBER),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames"), _SCHEMA),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _SCHEMAS),
    **dict.fromkeys(("properties", "patternProperties", *DEFINITIONS), _MAP),
    **dict.fromkeys(("pattern", "format", "$ref"), _TEXT),
}
