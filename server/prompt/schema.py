"""JSON schemas, made into ones that the grammar compiler takes at their word.

The compiler reads a subset: of several keywords it follows the first it knows and ignores the rest in silence. Here a
schema is rewritten so that every keyword is followed (one type or one combination a node, everything implied said), and
what cannot be is refused by name. Invariant: whatever the rewritten schema lets through is valid under the given one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from server.prompt.finite import CLOSED, IMPLIED_TYPE, Comparison, circular, endless, is_object, types_of
from server.prompt.keywords import (
    COMBINERS,
    FORMATS,
    OF_TYPE,
    SAYING,
    UNSUPPORTED,
    JsonObject,
    fault_of_form,
)
from server.prompt.patterns import PatternError, cost, exact, whole_pattern
from server.prompt.schema_parts import (
    MAX_EXACT,
    Bounds,
    both_sided,
    count,
    elements,
    figure,
    inclusive,
    is_empty,
    is_exact,
    members,
    resolved,
    type_names,
)

MAX_DEPTH = 32  # schemas within schemas
MAX_SCHEMAS = 1000
MAX_PATTERN_COST = 500_000  # of all together: half a second at most
MAX_COUNTED = 64  # optional properties where their number is bounded: the grammar grows with the square

Path = tuple[str, ...]
Schema = dict[str, object]

ANY: Schema = {}


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` leads to the keyword at fault. malformed: this is no JSON schema, whatever could be supported."""

    path: Path
    message: str
    malformed: bool = False


class SchemaError(ValueError):
    """A schema that no faithful grammar can be made of."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(fault.path)}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


def rewritten(schema: JsonObject, strict: bool) -> Schema:
    """The schema in the compiler's subset.

    strict: objects take no other properties than those listed, unless they say so.

    Raises:
        SchemaError: with every fault.
    """
    return _Rewriter(schema, "always" if strict else "never").run()


def rewritten_arguments(schema: JsonObject, strict: bool) -> Schema:
    """Likewise the schema of what a call is made with, which is an object.

    Objects that list properties take no others even where that is not strict: a model that invents arguments helps
    nobody.

    Raises:
        SchemaError: with every fault.
    """
    result = _Rewriter(schema, "always" if strict else "listed").run()
    if not is_object(result):
        raise SchemaError([Fault((), "the arguments of a call are an object", malformed=True)])
    return result


class _Rewriter:
    """closed: which objects take no other properties than those listed, where they do not say themselves."""

    def __init__(self, root: JsonObject, closed: Literal["always", "listed", "never"]) -> None:
        self._root = root
        self._closed = closed
        self._faults: list[Fault] = []
        self._count = 0
        self._pattern_cost = 0
        self._names: dict[str, str] = {}  # by the pointer of a $ref
        self._first_use: dict[str, Path] = {}
        self._waiting: list[tuple[str, object, Path]] = []  # definitions referred to and not yet rewritten
        self._definitions: dict[str, Schema] = {}
        self._exclusive: list[tuple[Path, list[Schema]]] = []  # the schemas of each `oneOf`

    def run(self) -> Schema:
        result = self._schema(self._root, (), 0)
        while self._waiting:  # not by recursion: a chain of references may be long
            name, target, path = self._waiting.pop()
            self._definitions[name] = self._schema(target, path, 0)
        if not self._faults:
            self._check_whole()
        if self._faults:
            raise SchemaError(tuple(dict.fromkeys(self._faults)))  # a schema may be met by more than one way
        return {**result, "$defs": self._definitions} if self._definitions else result

    def _check_whole(self) -> None:
        comparison = Comparison(self._definitions)
        for path, schemas in self._exclusive:
            if comparison.overlapping(schemas):
                self._fault(path, "the schemas of `oneOf` may overlap, which is not supported; `anyOf` is")
        never = endless(self._definitions)
        for name in sorted(never):
            self._fault(self._first_use[name], "leads to what never ends, since it always holds itself")
        for name in sorted(circular(self._definitions) - never):
            self._fault(self._first_use[name], "leads back to itself, with nothing between")

    def _fault(self, path: Path, message: str, malformed: bool = False) -> Schema:
        self._faults.append(Fault(path, message, malformed))
        return ANY

    def _schema(self, schema: object, path: Path, depth: int) -> Schema:
        if not isinstance(schema, Mapping):
            return ANY if schema is True else self._fault(path, "`false` accepts nothing")
        self._count += 1
        if self._count == MAX_SCHEMAS + 1:
            return self._fault(path, f"more than {MAX_SCHEMAS} schemas, references included")
        if self._count > MAX_SCHEMAS:
            return ANY
        if depth > MAX_DEPTH:
            return self._fault(path, f"nested more than {MAX_DEPTH} levels deep")
        said = self._well_formed(schema, path)
        keyword = next((keyword for keyword in COMBINERS if keyword in said), None)
        return self._typed(said, path, depth) if keyword is None else self._combined(keyword, said, path, depth)

    def _well_formed(self, schema: JsonObject, path: Path) -> Schema:
        """The keywords that say something, without those that are at fault."""
        said = {}
        for keyword, value in schema.items():
            if wrong := fault_of_form(keyword, value):
                self._fault((*path, keyword), wrong, malformed=True)
            elif keyword in UNSUPPORTED and value not in UNSUPPORTED[keyword]:
                self._fault((*path, keyword), f"`{keyword}` is not supported")
            elif keyword == "$id" and path:
                self._fault((*path, keyword), "`$id` is not supported within a schema")
            elif keyword in SAYING:
                said[keyword] = value
        return said

    # Combinations

    def _combined(self, keyword: str, said: Schema, path: Path, depth: int) -> Schema:
        takes_type = keyword in ("const", "enum", "anyOf", "oneOf")
        for other in said.keys() - {keyword, "type" if takes_type else keyword}:
            self._fault((*path, other), f"`{other}` is not supported beside `{keyword}`")
        here = (*path, keyword)
        if keyword == "$ref":
            return self._reference(str(said["$ref"]), here)
        if keyword == "const":
            return self._values([said["const"]], said, here)
        if keyword == "enum":
            return self._values(elements(said["enum"]), said, here)
        if keyword == "allOf":
            return self._all(elements(said["allOf"]), here, depth)
        return self._any(keyword, said, path, depth)

    def _reference(self, pointer: str, path: Path) -> Schema:
        if pointer not in self._names:
            if not pointer.startswith("#"):
                return self._fault(path, f"only references within the schema are followed, not {pointer[:80]!r}")
            try:
                target = resolved(self._root, pointer)
            except LookupError:
                return self._fault(path, f"{pointer[:80]!r} leads to no schema", malformed=True)
            name = self._names[pointer] = f"r{len(self._names)}"
            self._first_use[name] = path
            self._waiting.append((name, target, tuple(pointer.split("/")[1:])))
        return {"$ref": f"#/$defs/{self._names[pointer]}"}

    def _values(self, values: list[object], said: Schema, path: Path) -> Schema:
        types = set(type_names(said))
        fitting = [value for value in values if not types or types & types_of(value)]
        if not fitting:
            return self._fault(path, "no value is of the type")
        if not all(map(is_exact, fitting)):
            return self._fault(path, f"whole numbers must not exceed {MAX_EXACT}")
        return {"enum": fitting}

    def _all(self, parts: list[object], path: Path, depth: int) -> Schema:
        if len(parts) > 1:
            return self._fault(path, "`allOf` with more than one schema is not supported")
        return self._schema(parts[0], (*path, "0"), depth + 1)

    def _any(self, keyword: str, said: Schema, path: Path, depth: int) -> Schema:
        types, schemas = set(type_names(said)), []
        for index, part in enumerate(elements(said[keyword])):
            part = self._narrowed(part, types) if types else part
            if part is None:
                return self._fault((*path, "type"), f"`type` is not supported beside this `{keyword}`")
            schemas.append(self._schema(part, (*path, keyword, str(index)), depth + 1))
        if keyword == "oneOf":
            self._exclusive.append(((*path, keyword), schemas))
        return {"anyOf": schemas}

    def _narrowed(self, part: object, types: set[str]) -> object | None:
        """The part of a schema that is of these types; None where that cannot be seen."""
        possible = types | ({"integer"} if "number" in types else set())
        evident = self._evident_types(part, MAX_DEPTH)
        if evident is not None and evident <= possible:
            return part
        if isinstance(part, Mapping) and not part.keys() & set(COMBINERS) and possible & (evident or possible):
            return {**part, "type": sorted(types if evident is None else possible & evident)}
        return None

    def _evident_types(self, schema: object, steps: int) -> set[str] | None:
        match schema:
            case {"$ref": str(pointer)} if steps:
                try:
                    return self._evident_types(resolved(self._root, pointer), steps - 1)
                except LookupError:
                    return None
            case {"const": value}:
                return {min(types_of(value))}
            case {"enum": list(values)}:
                return {min(types_of(value)) for value in values}
            case {"type": str() | list() as named}:
                return set(type_names({"type": named}))
            case _:
                return None

    # Types

    def _typed(self, said: Schema, path: Path, depth: int) -> Schema:
        types = type_names(said)
        given = bool(types)
        types = types or [name for name in OF_TYPE if said.keys() & set(OF_TYPE[name])]
        if "number" in types:
            types = [name for name in types if name != "integer"]
        schemas = [self._of_type(name, said, path, depth) for name in types]
        if not given:
            schemas = [{**schema, **IMPLIED_TYPE} for schema in schemas]
        return {"anyOf": schemas} if len(schemas) > 1 else schemas[0] if schemas else ANY

    def _of_type(self, name: str, said: Schema, path: Path, depth: int) -> Schema:
        match name:
            case "object":
                return self._object(said, path, depth)
            case "array":
                return self._array(said, path, depth)
            case "string":
                return self._string(said, path)
            case "integer" | "number":
                return self._number(name, said, path)
            case _:
                return {"type": name}

    def _string(self, said: Schema, path: Path) -> Schema:
        own = [keyword for keyword in OF_TYPE["string"] if keyword in said]
        if own and own[0] in ("pattern", "format"):  # the compiler follows one of them, and no length beside it
            for other in own[1:]:
                self._fault((*path, other), f"`{other}` is not supported beside `{own[0]}`")
        if "format" in own and said["format"] not in FORMATS:
            self._fault((*path, "format"), f"format {str(said['format'])[:40]!r} is not supported")
        self._ordered(said, "minLength", "maxLength", path)
        if "pattern" in own:
            return {"type": "string", "pattern": self._pattern(said["pattern"], (*path, "pattern"))}
        if "format" in own:
            return {"type": "string", "format": said["format"]}
        return {"type": "string", **{keyword: count(said[keyword]) for keyword in own}}

    def _pattern(self, pattern: object, path: Path) -> str:
        try:
            whole = whole_pattern(str(pattern))
        except PatternError as error:
            self._fault(path, f"the pattern {error}")
            return ""
        self._pattern_cost += cost(whole)
        if self._pattern_cost > MAX_PATTERN_COST:
            self._fault(path, "the patterns together take too long to compile")
        return exact(whole)

    def _number(self, name: str, said: Schema, path: Path) -> Schema:
        bounds: Bounds = {keyword: figure(said[keyword]) for keyword in OF_TYPE["number"] if keyword in said}
        for keyword, bound in bounds.items():
            if not -MAX_EXACT <= bound <= MAX_EXACT:
                self._fault((*path, keyword), f"must be between -{MAX_EXACT} and {MAX_EXACT}")
        bounds = both_sided(inclusive(bounds) if name == "integer" else bounds)
        if is_empty(bounds):
            self._fault((*path, next(iter(bounds))), "no number is within the bounds")
        return {"type": name, **bounds}

    def _array(self, said: Schema, path: Path, depth: int) -> Schema:
        self._ordered(said, "minItems", "maxItems", path)
        most = count(said.get("maxItems"))
        prefix = [
            self._schema(item, (*path, "prefixItems", str(index)), depth + 1)
            for index, item in enumerate(elements(said.get("prefixItems", [])))
        ]
        rest = said.get("items", True)
        items: object = False if rest is False else self._schema(rest, (*path, "items"), depth + 1)
        if items is False and (count(said.get("minItems")) or 0) > len(prefix):
            self._fault((*path, "minItems"), "more than the number of items allowed")
        if most is not None and most <= len(prefix):
            prefix, items = prefix[:most], False
        result: Schema = {"type": "array", "prefixItems": prefix, "items": items}
        bounds: Schema = {keyword: count(said[keyword]) for keyword in ("minItems", "maxItems") if keyword in said}
        return {**{key: value for key, value in result.items() if value != []}, **bounds}

    def _object(self, said: Schema, path: Path, depth: int) -> Schema:
        properties = self._properties("properties", said, path, depth)
        rest = self._rest(said, path, depth)
        required = list(dict.fromkeys(str(name) for name in elements(said.get("required", []))))
        for name in required:
            if name not in properties and rest is False:
                self._fault((*path, "required"), f"{name[:80]!r} is no property")
            properties.setdefault(name, rest if isinstance(rest, dict) else ANY)
        if not all(map(str.isascii, properties)):
            rest = False  # such a name could come in again among the others, with any value
        result: Schema = {"type": "object", "properties": properties, "required": required}
        result |= {"additionalProperties": rest, **self._keys(said, bool(properties), path, depth)}
        result |= {} if said.get("additionalProperties") is False else CLOSED
        return {**result, **self._counted(said, result, path)}

    def _rest(self, said: Schema, path: Path, depth: int) -> object:
        """The schema of properties that are not listed, or False."""
        closed = self._closed == "always" or (self._closed == "listed" and bool(said.get("properties")))
        default = not closed or "propertyNames" in said
        others = said.get("additionalProperties", default)
        return others and self._schema(others, (*path, "additionalProperties"), depth + 1)

    def _properties(self, keyword: str, said: Schema, path: Path, depth: int) -> Schema:
        schemas = said.get(keyword, {})
        assert isinstance(schemas, Mapping)
        return {name: self._schema(value, (*path, keyword, name), depth + 1) for name, value in schemas.items()}

    def _keys(self, said: Schema, named: bool, path: Path, depth: int) -> Schema:
        """Conditions on the names of properties: the compiler follows one, and none beside names that are listed."""
        own = [keyword for keyword in ("patternProperties", "propertyNames") if keyword in said]
        if own and (named or len(own) > 1):
            self._fault((*path, own[-1]), f"`{own[-1]}` is not supported beside other conditions on the names")
        if "patternProperties" in own:
            return self._pattern_properties(said, (*path, "patternProperties"), path, depth)
        if "propertyNames" not in own or said.get("additionalProperties") is False:
            return {}
        given = said["propertyNames"]
        names = self._narrowed({} if given is True else given, {"string"})
        if names is None:
            return self._fault((*path, "propertyNames"), "names are strings")
        return {"propertyNames": self._schema(names, (*path, "propertyNames"), depth + 1)}

    def _pattern_properties(self, said: Schema, here: Path, path: Path, depth: int) -> Schema:
        schemas = self._properties("patternProperties", said, path, depth)
        if len(schemas) > 1:
            self._fault(here, "more than one pattern is not supported")
        patterns = {self._pattern(pattern, (*here, pattern)): schema for pattern, schema in schemas.items()}
        return {"patternProperties": patterns, "additionalProperties": False}

    def _counted(self, said: Schema, result: Schema, path: Path) -> Schema:
        """A name may come twice where it is free, so that there a least number of properties is no bound."""
        least, most = count(said.get("minProperties")) or 0, count(said.get("maxProperties"))
        bounds: Schema = {"minProperties": least} if least else {}
        bounds |= {} if most is None else {"maxProperties": most}
        self._ordered(said, "minProperties", "maxProperties", path)
        properties, required = members(result["properties"]), elements(result["required"])
        free = result["additionalProperties"] is not False or bool(said.keys() & {"patternProperties", "propertyNames"})
        if least > max(1, len(required)) and free:
            self._fault((*path, "minProperties"), "more than 1 is not supported where names are not listed")
        if least > len(properties) and not free:
            self._fault((*path, "minProperties"), "more than the number of properties")
        if most is not None and most < len(required):
            self._fault((*path, "maxProperties"), "less than the number of required properties")
        if bounds and len(properties) - len(required) > MAX_COUNTED:
            self._fault(
                (*path, next(iter(bounds))), f"not supported beside more than {MAX_COUNTED} optional properties"
            )
        return bounds

    def _ordered(self, said: Schema, least: str, most: str, path: Path) -> None:
        low, high = count(said.get(least)), count(said.get(most))
        if low is not None and high is not None and low > high:
            self._fault((*path, least), f"greater than `{most}`")
