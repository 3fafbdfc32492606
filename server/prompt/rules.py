"""Grammars as text: rules of EBNF in xgrammar's dialect, and how several of them come to stand in one text."""

import re
from collections.abc import Iterable, Mapping

Rules = Mapping[str, str]  # the body of each rule by its name

_RULE = re.compile(r"^(\w+) ::= (.*)$", re.MULTILINE)
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\w+')
_SHARED = "basic_"  # of what every JSON grammar says of JSON


def literal(text: str) -> str:
    """A text in quotes."""
    return '"' + "".join(map(_escaped, text)) + '"'


def free(excludes: Iterable[str], calls: Mapping[str, str] | None = None) -> str:
    """The body of a rule for any text in which some strings do not occur.

    calls: by the string that begins it, the rule of what must then follow, and ends the text.
    """
    parts = [f"({literal(trigger)}, {rule})" for trigger, rule in (calls or {}).items()]
    return f"TagDispatch({', '.join([*parts, 'loop_after_dispatch=false', f'excludes=({_listed(excludes)})'])})"


def read(printed: str, prefix: str) -> dict[str, str]:
    """The rules of a printed grammar, each name but the shared ones behind a prefix: its root is `<prefix>root`."""
    bodies = dict(_RULE.findall(printed))
    names = {name: name if name.startswith(_SHARED) else prefix + name for name in bodies}
    return {names[name]: _TOKEN.sub(lambda token: names.get(token[0], token[0]), body) for name, body in bodies.items()}


def text_of(rules: Rules, root: str = "root") -> str:
    """The grammar as text, the root first, without the rules that it does not lead to."""
    reached = {root: None}
    waiting = [root]
    while waiting:
        found = [name for name in _TOKEN.findall(rules[waiting.pop()]) if name in rules and name not in reached]
        reached.update(dict.fromkeys(found))
        waiting += found
    return "".join(f"{name} ::= {rules[name]}\n" for name in reached)


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _listed(strings: Iterable[str]) -> str:
    quoted = [literal(string) for string in strings]
    return ", ".join(quoted) + ("," if len(quoted) == 1 else "")
