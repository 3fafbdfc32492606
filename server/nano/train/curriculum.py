"""What is taught when: copying first and short, then real conversations, then longer ones."""

COPYING_FIRST = 4000  # conversations; about the first 600,000 tokens
COPYING_LAST = 10_000
COPYING_KEPT = 0.4
SHORT, MEDIUM, LONG = 256, 512, 1024  # tokens
SHORT_UNTIL, MEDIUM_UNTIL = 12_000, 40_000


def drill_share(number: int) -> float:
    """Share of copying exercises at conversation `number`: nearly all, then linearly less, then a few for ever."""
    if number < COPYING_FIRST:
        return 0.95
    left = max(0.0, (COPYING_LAST - number) / (COPYING_LAST - COPYING_FIRST))
    return COPYING_KEPT + (0.95 - COPYING_KEPT) * left


def longest(number: int) -> int:
    """The longest sequence in tokens at conversation `number`."""
    return SHORT if number < SHORT_UNTIL else MEDIUM if number < MEDIUM_UNTIL else LONG
