"""Random JSON schemas whose values are finite and short: nested objects, enums, arrays, bounds, patterns, unions."""

import random
from typing import Any

Schema = dict[str, Any]

WORDS = ("city", "unit", "guest", "when", "note", "größe", "नाम", "a b", 'quote"d', "back\\slash", "x-id", "count")
VALUES = ("celsius", "fahrenheit", "", "naïve", "日本", 'a "b"', "c\\d", "e\nf", 0, -7, 3.5, True, False, None)
PATTERNS = (
    "^[0-9]{5}$",
    "^[A-Z]{2}-[0-9]{2,4}$",
    "^(red|green|blue)$",
    "^\\+?[1-9][0-9]{6,9}$",
    "^[^\\s@]{1,8}@x\\.io$",
)


def arguments(chance: random.Random) -> Schema:
    """The schema of a call's arguments."""
    schema = _object(chance, 3)
    if chance.random() < 0.2:
        schema = {"$ref": "#/$defs/arguments", "$defs": {"arguments": schema}}
    return schema


def _schema(chance: random.Random, depth: int) -> Schema:
    kinds = [_string, _string, _integer, _number, _enum, _constant]
    return chance.choice([*kinds, _object, _array, _union, _union] if depth else kinds)(chance, depth)


def _object(chance: random.Random, depth: int) -> Schema:
    names = chance.sample(WORDS, chance.randint(1, 4))
    schema: Schema = {"type": "object", "properties": {name: _schema(chance, depth - 1) for name in names}}
    required = [name for name in names if chance.random() < 0.7]
    closed = chance.choice([{}, {"additionalProperties": False}])
    return schema | ({"required": required} if required else {}) | closed


def _array(chance: random.Random, depth: int) -> Schema:
    least = chance.randint(0, 2)
    return {"type": "array", "items": _schema(chance, depth - 1), "minItems": least, "maxItems": least + 1}


def _union(chance: random.Random, depth: int) -> Schema:
    if chance.random() < 0.3:
        return {"type": ["integer", "null"], "minimum": 0, "maximum": 99}
    return {"anyOf": [_schema(chance, depth - 1) for _ in range(chance.randint(2, 3))]}


def _string(chance: random.Random, depth: int) -> Schema:
    if chance.random() < 0.4:
        return {"type": "string", "pattern": chance.choice(PATTERNS)}
    least = chance.randint(0, 6)
    return {"type": "string", "minLength": least, "maxLength": least + chance.randint(0, 8)}


def _integer(chance: random.Random, depth: int) -> Schema:
    low = chance.randint(-500, 500)
    return {"type": "integer", chance.choice(["minimum", "exclusiveMinimum"]): low, "maximum": low + 2 * 10**5}


def _number(chance: random.Random, depth: int) -> Schema:
    low = chance.randint(-50, 50) / 4
    return {
        "type": "number",
        "minimum": low,
        chance.choice(["maximum", "exclusiveMaximum"]): low + chance.randint(1, 90),
    }


def _enum(chance: random.Random, depth: int) -> Schema:
    return {"enum": chance.sample(VALUES, chance.randint(1, 5))}


def _constant(chance: random.Random, depth: int) -> Schema:
    return chance.choice([{"const": chance.choice(VALUES)}, {"type": "boolean"}, {"type": "null"}])
