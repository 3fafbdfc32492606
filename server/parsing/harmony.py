"""Calls in the manner of gpt-oss, which writes messages:

`<|start|>assistant<|channel|>NAME …<|message|>…`, up to `<|end|>`, `<|call|>` or `<|return|>`.

The channel `analysis` is reasoning, `final` is speech, and so is `commentary` to nobody: it announces what comes. A
message to `functions.NAME`, in whichever channel, is a call. One to another recipient, such as a browser that nobody
offered, is a failure and not spoken. Text outside of all messages is speech.
"""

import re
from collections.abc import Iterable

from server.parsing.base import NewId, random_id
from server.parsing.headed import Headed

CHANNEL = "<|channel|>"
MESSAGE = "<|message|>"
_START = "<|start|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_RESUME = (_START, CHANNEL, *_ENDS)
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_CHANNEL = re.compile(rf"{re.escape(CHANNEL)}\s*(\w+)")
_FUNCTIONS = "functions."


class Harmony(Headed):
    """unspoken: special tokens that mean nothing; they are dropped."""

    def __init__(self, unspoken: Iterable[str] = (), new_id: NewId = random_id) -> None:
        super().__init__((*unspoken, MESSAGE, "<|constrain|>"), _RESUME, (MESSAGE, _START, *_ENDS), "<", new_id)
        self._thought_end = self._resume

    def _open(self, tag: re.Match[str]) -> int:
        if tag[0] in (_START, CHANNEL):
            self._begin_heading()
            self._heading.append(tag[0])
        return super()._open(tag)

    def _headed(self, heading: str, mark: re.Match[str]) -> int:
        if mark[0] != MESSAGE:
            self._read = self._speech  # a heading without a message
            return mark.start()
        recipient = _RECIPIENT.search(heading)
        if recipient is None:
            self._read = self._thought if _channel(heading) == "analysis" else self._speech
        else:
            self._address(recipient[1])
        return mark.end()

    def _address(self, recipient: str) -> None:
        if recipient.startswith(_FUNCTIONS):
            self._begin_named(recipient.removeprefix(_FUNCTIONS))
        else:
            self._fail()

    def _after_call(self, text: str, start: int) -> int:
        self._read = self._skip  # up to the end of the message
        return start


def _channel(heading: str) -> str:
    found = _CHANNEL.search(heading)
    return found[1] if found else ""
