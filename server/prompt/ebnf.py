"""Repairs to what xgrammar 0.2.8 prints, so that the text means what the compiled schema should have meant.

Strings of a caller stand in quotes there, every quote and backslash escaped, and hold no line ends (JSON has none in
strings, patterns are refused that do): none can look like what is replaced.
"""

import re
from functools import reduce

# Printed with two digits, read with as many as follow: "é" before "a" would become U+0E9A.
_HEXADECIMAL = re.compile(r"\\(?:x([0-9a-f]{2})|.)")

# Where lengths are bounded, control characters pass and escapes do not: half of it is no JSON.
_CHARACTER = r"[^\"\\\r\n]"
_JSON_CHARACTER = r'([^\0-\x1f\"\\\ud800-\udfff] | ("\\" [\"\\/bfnrt]))'

# Half of a surrogate pair is no text, neither as bytes nor as an escape; what needs a pair is written as it is.
_ANY_OTHER = r"[^\0-\x1f\"\\\r\n]"
_ANY_CHARACTER = r"[^\0-\x1f\"\\\r\n\ud800-\udfff]"

_HEXADECIMALS = '("u" [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9])'
_NO_SURROGATES = '("u" ([0-9A-CEFa-cef] [A-Fa-f0-9] | [Dd] [0-7]) [A-Fa-f0-9] [A-Fa-f0-9])'

# Numbers of any length are infinite to some who read them; the digits that a double holds are enough.
_WHOLE = '(("0") | (basic_integer_1 [1-9] [0-9]*))'
_EXACT_WHOLE = '(("0") | (basic_integer_1 [1-9] [0-9]{0, 14}))'
_BEFORE_POINT, _EXACT_BEFORE_POINT = '(("0") | ([1-9] [0-9]*))', '(("0") | ([1-9] [0-9]{0, 14}))'
_AFTER_POINT, _EXACT_AFTER_POINT = '("." basic_number_digits{1, -1})', '("." basic_number_digits{1, 15})'
_EXPONENT, _SMALL_EXPONENT = "basic_number_4 basic_number_digits{1, -1})", "basic_number_4 basic_number_digits{1, 2})"

# Keys besides the listed ones: a listed one must not come in by an escape (`\u0061` for `a`).
_OTHER_KEYS = re.compile(r"^\w+_addl_key_\d+ ::= .*$", re.MULTILINE)
_ESCAPED_KEY = r' | ("\\" basic_escape basic_string_sub)'

_REPAIRS = (
    (_CHARACTER, _JSON_CHARACTER),
    (_ANY_OTHER, _ANY_CHARACTER),
    (_HEXADECIMALS, _NO_SURROGATES),
    (_WHOLE, _EXACT_WHOLE),
    (_BEFORE_POINT, _EXACT_BEFORE_POINT),
    (_AFTER_POINT, _EXACT_AFTER_POINT),
    (_EXPONENT, _SMALL_EXPONENT),
)


def faithful(printed: str) -> str:
    """A printed grammar with its faults repaired."""
    text = reduce(lambda text, repair: text.replace(*repair), _REPAIRS, printed)
    text = _OTHER_KEYS.sub(lambda rule: rule[0].replace(_ESCAPED_KEY, ""), text)
    return _HEXADECIMAL.sub(lambda escape: rf"\u00{escape[1]}" if escape[1] else escape[0], text)
