"""Questions about rewritten schemas as a whole: does every value end, do two schemas exclude one another?"""

from collections.abc import Mapping
from itertools import combinations

Schema = Mapping[str, object]
Definitions = Mapping[str, Schema]

_MOST_STEPS = 8  # references followed on the way to a schema's type


def endless(definitions: Definitions) -> set[str]:
    """Definitions that no finite value fulfils: each needs another one, or itself, inside of it."""
    finite: set[str] = set()
    while found := {name for name in definitions.keys() - finite if _ends(definitions[name], finite)}:
        finite |= found
    return set(definitions) - finite


def _ends(schema: Schema, finite: set[str]) -> bool:
    """Whether a value can be written with no other definitions than those."""
    match schema:
        case {"$ref": str(pointer)}:
            return target(pointer) in finite
        case {"anyOf": list(branches)}:
            return any(_ends(branch, finite) for branch in branches)
        case {"type": "array"}:
            return all(_ends(item, finite) for item in _required_items(schema))
        case {"type": "object", "properties": dict(properties), "required": list(required)}:
            return all(_ends(properties[name], finite) for name in required)
        case _:
            return True


def _required_items(schema: Schema) -> list[Schema]:
    least, prefix, rest = schema.get("minItems", 0), schema.get("prefixItems", []), schema.get("items")
    assert isinstance(least, int) and isinstance(prefix, list)
    return [*prefix[:least], *([rest] if isinstance(rest, dict) and least > len(prefix) else [])]


def target(pointer: str) -> str:
    """The name of the definition that a rewritten reference leads to."""
    return pointer.removeprefix("#/$defs/")


def overlapping(schemas: list[Schema], definitions: Definitions) -> bool:
    """Whether a value might fulfil two of them, as far as types, fixed values and required names tell."""
    return any(not _exclusive(*pair, definitions) for pair in combinations(schemas, 2))


def _exclusive(one: Schema, other: Schema, definitions: Definitions) -> bool:
    one, other = _followed(one, definitions), _followed(other, definitions)
    for this, that in ((one, other), (other, one)):
        if isinstance(branches := this.get("anyOf"), list):
            return all(_exclusive(branch, that, definitions) for branch in branches)
    if "enum" in one or "enum" in other:
        return _different_values(one, other)
    types = {one.get("type"), other.get("type")}
    if None in types or types == {"integer", "number"}:
        return False
    return len(types) == 2 or (types == {"object"} and _different_objects(one, other, definitions))


def _followed(schema: Schema, definitions: Definitions) -> Schema:
    for _ in range(_MOST_STEPS):
        if not isinstance(pointer := schema.get("$ref"), str):
            break
        schema = definitions[target(pointer)]
    return schema


def _different_values(one: Schema, other: Schema) -> bool:
    here, there = one.get("enum"), other.get("enum")
    if isinstance(here, list) and isinstance(there, list):
        return not any(value == candidate for value in here for candidate in there)
    values, typed = (here, other) if isinstance(here, list) else (there, one)
    assert isinstance(values, list)
    return "type" in typed and not any(typed["type"] in types_of(value) for value in values)


def _different_objects(one: Schema, other: Schema, definitions: Definitions) -> bool:
    """They need different values of one property, or one needs a property that the other has not."""
    for this, that in ((one, other), (other, one)):
        names, properties, others = this["required"], this["properties"], that["properties"]
        assert isinstance(names, list) and isinstance(properties, dict) and isinstance(others, dict)
        for name in names:
            if name not in others and that.get("additionalProperties") is False and "patternProperties" not in that:
                return True
            if name in others and _exclusive(properties[name], others[name], definitions):
                return True
    return False


def types_of(value: object) -> set[str]:
    """The types that a JSON value has; a whole number has two."""
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case int() | float():
            return {"number", "integer"} if value == int(value) else {"number"}
        case str():
            return {"string"}
        case list() | tuple():
            return {"array"}
        case _:
            return {"object"}
