"""How calls are tagged whose arguments stand each in a tag of its own.

Qwen3-Coder, each tag in a line of its own, sometimes without the outer block:
`<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>`.
GLM 4.5 and later: `<tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>`.
"""

from dataclasses import dataclass

from server.parsing.hermes import CLOSE


@dataclass(frozen=True, slots=True)
class Dialect:
    """The tags. call: "" where the name follows the opening of the block. value: "" where it follows the key.

    value_ends: what ends a value besides its closing tag, and is read on from.
    own_lines: a line break at either end of a value is layout.
    """

    call: str
    name_end: str
    key: str
    key_end: str
    value: str
    value_end: str
    value_ends: tuple[str, ...]
    call_end: str
    own_lines: bool

    @property
    def tags(self) -> tuple[str, ...]:
        """All but those that begin a call or a block."""
        tags = {self.key, self.key_end, self.value, self.value_end, self.call_end} - {"", ">", CLOSE}
        return tuple(sorted(tags))


QWEN = Dialect(
    call="<function=",
    name_end=">",
    key="<parameter=",
    key_end=">",
    value="",
    value_end="</parameter>",
    value_ends=("\n<parameter=", "\n</function>", "\n</tool_call>"),
    call_end="</function>",
    own_lines=True,
)
GLM = Dialect(
    call="",
    name_end="\n",
    key="<arg_key>",
    key_end="</arg_key>",
    value="<arg_value>",
    value_end="</arg_value>",
    value_ends=("<arg_key>", CLOSE),
    call_end=CLOSE,
    own_lines=False,
)
