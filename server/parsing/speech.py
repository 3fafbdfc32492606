"""The whitespace of what is spoken."""


class Speech:
    """Keeps whitespace back until it is known what follows.

    Text without interruption comes out exactly as it went in. `part` says that something unspoken came between: the
    whitespace around it is dropped, and where speech goes on after it, a new line sets it apart.
    """

    def __init__(self) -> None:
        self._space: list[str] = []
        self._spoken = False
        self._parting = False  # between something unspoken and the next word
        self._parted = False

    def feed(self, text: str) -> str:
        """What can be spoken now."""
        words = text.rstrip()
        if not words:
            self._space.append(text)
            return ""
        spoken = "".join((*self._lead(), words.lstrip() if self._parting else words))
        self._space = [text[len(words) :]]
        self._spoken, self._parting = True, False
        return spoken

    def part(self) -> None:
        """Something unspoken comes."""
        self._space.clear()
        self._parting = self._parted = True

    def finish(self) -> str:
        """Whitespace at the end belongs to a text that was spoken as a whole."""
        return "" if self._parted else "".join(self._space)

    def _lead(self) -> list[str]:
        if not self._parting:
            return self._space
        return ["\n"] if self._spoken else []
