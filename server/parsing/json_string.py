"""One JSON string, decoded as it is written."""

import json

from server.parsing.json_scan import JsonScanner


class StringReader:
    """`feed` as `JsonScanner.feed`, from the opening quote on; `take` gives what the string holds."""

    def __init__(self) -> None:
        self._scanner = JsonScanner()
        self._opening = ""  # the quote that a later piece lacks
        self._high = ""  # first half of a surrogate pair

    @property
    def done(self) -> bool:
        return self._scanner.done

    def feed(self, text: str, start: int) -> int:
        return self._scanner.feed(text, start)

    def take(self) -> str:
        """The characters that have become certain since the last call, all of them encodable."""
        raw = self._scanner.take()
        if not raw:
            return ""
        text = self._high + json.loads(self._opening + raw + ("" if self.done else '"'))
        self._opening = '"'
        self._high = "" if self.done or not _is_high(text[-1:]) else text[-1]
        return _well_formed(text.removesuffix(self._high))


def _is_high(char: str) -> bool:
    return "\ud800" <= char <= "\udbff"


def _well_formed(text: str) -> str:
    """Joins surrogate pairs; a half without its other one becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
