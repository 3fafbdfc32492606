"""Questions about rewritten schemas as a whole: does every value end, do two schemas exclude one another?"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from server.prompt.schema_parts import members

Schema = Mapping[str, object]
Definitions = Mapping[str, Schema]

_MOST_STEPS = 50_000  # pairs of schemas that are compared, for all `oneOf` together
# What the rewriting added of its own: no ground to say that two schemas, as they were given, exclude one another.
IMPLIED_TYPE: Schema = {"$comment": "implied type"}
CLOSED: Schema = {"$comment": "closed"}

_DEEPEST = 8  # references and combinations followed on the way to a type


def endless(definitions: Definitions) -> set[str]:
    """Definitions that no finite value fulfils: each needs another one, or itself, inside of it."""
    finite: set[str] = set()
    before = -1
    while len(finite) > before:
        before = len(finite)
        for name in reversed(list(definitions)):  # what is referred to comes later, mostly
            if name not in finite and _ends(definitions[name], finite):
                finite.add(name)
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


def circular(definitions: Definitions) -> set[str]:
    """Definitions that refer to themselves with no array or object between: to validate a value takes for ever."""
    leads = {name: set(_alternatives(schema)) for name, schema in definitions.items()}
    while grown := [name for name, ends in leads.items() if not ends >= set().union(*(leads[end] for end in ends))]:
        for name in grown:
            leads[name].update(*(leads[end] for end in leads[name]))
    return {name for name, ends in leads.items() if name in ends}


def _alternatives(schema: Schema) -> Iterator[str]:
    """The definitions that a value may have to fulfil as a whole."""
    match schema:
        case {"$ref": str(pointer)}:
            yield target(pointer)
        case {"anyOf": list(branches)}:
            for branch in branches:
                yield from _alternatives(branch)


def is_object(schema: Schema) -> bool:
    """Whether a rewritten schema, its definitions with it, takes objects alone."""
    definitions, seen = members(schema.get("$defs", {})), set[str]()

    def takes_objects(part: object) -> bool:
        match part:
            case {"$ref": str(pointer)}:
                met = pointer in seen
                seen.add(pointer)
                return met or takes_objects(definitions[target(pointer)])
            case {"anyOf": list(branches)}:
                return all(map(takes_objects, branches))
            case {"enum": list(values)}:
                return all(isinstance(value, Mapping) for value in values)
            case _:
                return isinstance(part, Mapping) and part.get("type") == "object"

    return takes_objects(schema)


def target(pointer: str) -> str:
    """The name of the definition that a rewritten reference leads to."""
    return pointer.removeprefix("#/$defs/")


class Comparison:
    """Of schemas that may refer to themselves and to one another: given up after so many steps."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._steps = _MOST_STEPS

    def overlapping(self, schemas: Sequence[Schema]) -> bool:
        """Whether a value might fulfil two of them, as far as types, fixed values and required names tell."""
        return not all(self._exclusive(*pair) for pair in combinations(schemas, 2))

    def _exclusive(self, one: Schema, other: Schema, depth: int = 0) -> bool:
        """Whether surely no value fulfils both."""
        self._steps -= 1
        if self._steps < 0 or depth > _DEEPEST:
            return False
        one, other = self._followed(one), self._followed(other)
        for this, that in ((one, other), (other, one)):
            if isinstance(branches := this.get("anyOf"), list):
                return all(self._exclusive(branch, that, depth + 1) for branch in branches)
        if "enum" in one or "enum" in other:
            return _different_values(one, other)
        types = {_given_type(one), _given_type(other)}
        if None in types or types == {"integer", "number"}:
            return False
        return len(types) == 2 or (types == {"object"} and self._different_objects(one, other, depth))

    def _followed(self, schema: Schema) -> Schema:
        """Where a chain of references leads; a reference again if it leads nowhere."""
        for _ in range(_DEEPEST):
            if not isinstance(pointer := schema.get("$ref"), str):
                break
            schema = self._definitions[target(pointer)]
        return schema

    def _different_objects(self, one: Schema, other: Schema, depth: int) -> bool:
        """They need different values of one property, or one needs a property that the other has not."""
        for this, that in ((one, other), (other, one)):
            names, properties, others = this["required"], this["properties"], that["properties"]
            assert isinstance(names, list) and isinstance(properties, dict) and isinstance(others, dict)
            closed = that.get("additionalProperties") is False and not that.keys() & {"patternProperties", "$comment"}
            for name in names:
                if name not in others and closed:
                    return True
                if name in others and self._exclusive(properties[name], others[name], depth + 1):
                    return True
        return False


def _different_values(one: Schema, other: Schema) -> bool:
    here, there = one.get("enum"), other.get("enum")
    if isinstance(here, list) and isinstance(there, list):
        return not any(value == candidate for value in here for candidate in there)
    values, typed = (here, other) if isinstance(here, list) else (there, one)
    assert isinstance(values, list)
    kind = _given_type(typed)
    return kind is not None and not any(kind in types_of(value) for value in values)


def _given_type(schema: Schema) -> object:
    return None if schema.get("$comment") == IMPLIED_TYPE["$comment"] else schema.get("type")


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
