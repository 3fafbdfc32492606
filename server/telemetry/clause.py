"""When the first words are whole enough to be spoken."""

ENDS = frozenset(".!?")
COMMAS = frozenset(",;:")
# Marks that nothing but a sentence has: no white space need follow them, as it must after the point of `3.5`.
WIDE_ENDS = frozenset("。！？।॥؟۔…\n")
WIDE_COMMAS = frozenset("，、；：،؛")
CLOSERS = frozenset("\"')]}”’»）」』*_")


class ClauseWatch:
    """Finds the end of the first speakable clause, however the text is split.

    A clause ends with a sentence, or at a comma once there are `length` characters. A mark in `.!?,;:` counts when
    white space follows it: a voice cannot begin earlier either, since `3.` may go on with `5`. Abbreviations are not
    told from sentences. Linear in the text up to that point; nothing after it is looked at.
    """

    def __init__(self, length: int) -> None:
        self.done = False
        self._length = length
        self._seen = 0  # characters since the first letter or digit
        self._marked = False

    def feed(self, text: str) -> bool:
        """True once: with the text that ends the clause."""
        if self.done:
            return False
        self.done = any(map(self._ends, text))
        return self.done

    def finish(self) -> bool:
        """No more text comes; True if that ends a clause that no mark has ended."""
        ended = bool(self._seen) and not self.done
        self.done = self.done or ended
        return ended

    def _ends(self, character: str) -> bool:
        if not self._seen and not character.isalnum():
            return False
        self._seen += 1
        if self._marked and character.isspace():
            return True
        long = self._seen >= self._length
        self._marked = character in ENDS or (long and character in COMMAS) or (self._marked and character in CLOSERS)
        return character in WIDE_ENDS or (long and character in WIDE_COMMAS)
