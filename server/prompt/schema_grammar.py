"""A JSON schema to the grammar of its values, as text.

Fixed separators with one space each: no run of blanks, so that JSON always ends.
"""

import re
from collections.abc import Mapping

import orjson
from xgrammar import Grammar

from server.prompt.ebnf import faithful
from server.prompt.schema import ANY, Fault, Schema, SchemaError, rewritten, rewritten_arguments

MAX_SCHEMA = 128 * 1024  # bytes of JSON
MAX_GRAMMAR = 512 * 1024  # characters of EBNF


def json_grammar(schema: bytes, strict: bool) -> str:
    """EBNF of the JSON texts that a schema, itself JSON, describes.

    Raises:
        SchemaError: with every fault.
    """
    parsed = _parsed(schema)
    return _compiled(rewritten(parsed, strict) if isinstance(parsed, Mapping) else ANY)


def arguments_grammar(schema: bytes, strict: bool) -> str:
    """EBNF of the objects that a schema of a call's arguments describes.

    Raises:
        SchemaError: with every fault.
    """
    return _compiled(rewritten_arguments(_parsed(schema), strict))


def _parsed(schema: bytes) -> Schema:
    if len(schema) > MAX_SCHEMA:
        raise SchemaError([Fault((), f"the schema has {len(schema)} bytes, at most {MAX_SCHEMA} are supported")])
    parsed: Schema = orjson.loads(schema)
    return parsed


def _compiled(schema: Schema) -> str:
    try:
        grammar = Grammar.from_json_schema(orjson.dumps(schema).decode(), any_whitespace=False, strict_mode=True)
    except RuntimeError as error:
        reason = re.sub(r"^\[[^\]]*\] \S+:\d+: ", "", str(error)).strip()
        raise SchemaError([Fault((), f"the schema cannot be made into a grammar: {reason[:200]}")]) from None
    text = faithful(str(grammar))
    if len(text) > MAX_GRAMMAR:
        raise SchemaError([Fault((), "the schema makes too large a grammar")])
    return text
