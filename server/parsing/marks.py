"""The signs of markup in speech: tags, special tokens, fences and JSON, of whatever family; all of bounded length."""

import re

_BRACKETED = "INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK"
_NAME = r"[A-Za-z][\w:.-]{0,63}"
_VALUE = r'[^<>"]{0,64}'
SIGN = re.compile(r'[<{\[`"}]')
# Groups tell the kinds. name: of a tag.
MARK = re.compile(
    rf"""(?P<data>\{{\s{{0,9}}["'}}]|\[\s{{0,9}}(?:\{{\s{{0,9}})?["'])"""
    rf"|(?P<token><[|｜][^\s<>|｜]{{1,64}}[|｜]>|</?s>|\[/?(?:{_BRACKETED})\])"
    rf"""|(?P<tag></?(?P<name>{_NAME})(?:=["']?{_VALUE}["']?|(?:\s{{1,4}}[\w:-]{{1,32}}="{_VALUE}"){{0,4}})\s{{0,4}}/?>)"""
    r"|(?P<fence>```[a-z]{0,64}(?![a-z]).)"
    r"""|(?P<member>"\w{1,32}"\s{0,4}:\s{0,4}["{\[])""",
    re.DOTALL,
)
# Every proper beginning of a mark.
BEGUN = re.compile(
    r"\{\s{0,9}|\[\s{0,9}(?:\{\s{0,9})?"
    r"|<[|｜](?:[^\s<>|｜]{1,64}[|｜]?)?"
    r"|\[/?[A-Z_]{0,16}"
    rf"""|</?(?:{_NAME}(?:=["']?{_VALUE}["']?|(?:\s{{1,4}}[\w:-]{{1,32}}="{_VALUE}"){{0,4}}"""
    rf"""(?:\s{{1,4}}(?:[\w:-]{{1,32}}(?:="?{_VALUE})?)?)?)\s{{0,4}}/?)?"""
    r"|`{1,2}|```[a-z]{0,64}"
    r"""|"(?:\w{1,32}(?:"\s{0,4}(?::\s{0,4})?)?)?"""
)
CALL = re.compile(r".*(?:tool|function|invoke|parameter|python|plugin|action).*", re.IGNORECASE)
FORMAT = re.compile(r"a|b|code|em|i|mark|s|small|span|strong|sub|sup|u", re.IGNORECASE)  # within a sentence
# What cannot become a mark any more. name: of a closing tag. call: of an opening one. end: of JSON.
HALF = re.compile(rf"""</(?P<name>{_NAME})?|<(?P<call>{_NAME})|<[|｜][^\s<>|｜]{{0,64}}[|｜]?|(?P<end>"?\}}|"[\]:])""")
ENDING = re.compile(r".*end|/.*", re.IGNORECASE)
THOUGHT = re.compile(r"(?:\w+:)?(?:think|thinking|thought|reasoning|reflection|scratchpad)", re.IGNORECASE)
