"""What the model may say, as one grammar: EBNF that the whole output must match.

Fixed separators with one space each: no run of blanks, so that JSON always ends.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile

import orjson
from xgrammar import Grammar

from server.errors import Detail, InvalidRequest
from server.prompt.ebnf import faithful
from server.prompt.schema import ANY, Fault, SchemaError, rewritten
from server.protocol import ChatRequest

MAX_SCHEMA = 128 * 1024  # bytes of JSON
MAX_GRAMMAR = 512 * 1024  # characters of EBNF
_KEPT = 128  # grammars
_LISTED = 64  # faults in one answer
_LONGEST_STEP = 64  # characters of a name that is repeated to its caller in a path

_SCHEMA_PATH = ("response_format", "json_schema", "schema")


class Constraints:
    """Grammars by what they are made of, so that a schema is compiled once. Thread-safe."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._json_grammar = lru_cache(maxsize=kept)(json_grammar)

    def constraint_of(self, request: ChatRequest) -> str | None:
        """The grammar of the whole output; None where the model may say anything.

        Raises:
            InvalidRequest: no faithful grammar can be made of the schema; with the path of each keyword at fault.
        """
        form = request.response_format
        if form.kind == "text":
            return None
        if form.kind == "json_object" or form.schema is None:
            return self._json_grammar(b'{"type":"object"}', strict=False)
        try:
            return self._json_grammar(orjson.dumps(form.schema), strict=form.strict)
        except SchemaError as error:
            raise InvalidRequest.of([_detail(fault) for fault in error.faults[:_LISTED]]) from None


def json_grammar(schema: bytes, strict: bool) -> str:
    """EBNF of the JSON texts that a schema, itself JSON, describes.

    Raises:
        SchemaError: with every fault.
    """
    if len(schema) > MAX_SCHEMA:
        raise SchemaError([Fault((), f"the schema has {len(schema)} bytes, at most {MAX_SCHEMA} are supported")])
    parsed = orjson.loads(schema)
    grammar = _compiled(rewritten(parsed, strict) if isinstance(parsed, Mapping) else ANY)
    if len(grammar) > MAX_GRAMMAR:
        raise SchemaError([Fault((), "the schema makes too large a grammar")])
    return grammar


def _compiled(schema: Mapping[str, object]) -> str:
    try:
        grammar = Grammar.from_json_schema(orjson.dumps(schema).decode(), any_whitespace=False, strict_mode=True)
    except RuntimeError as error:
        reason = re.sub(r"^\[[^\]]*\] \S+:\d+: ", "", str(error)).strip()
        raise SchemaError([Fault((), f"the schema cannot be made into a grammar: {reason[:200]}")]) from None
    return faithful(str(grammar))


def _detail(fault: Fault) -> Detail:
    steps = takewhile(lambda step: len(step) <= _LONGEST_STEP, fault.path)
    return Detail("custom", fault.message, (*_SCHEMA_PATH, *steps))
