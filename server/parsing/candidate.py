"""Beginnings that are no fixed string."""

import re
from enum import Enum


class Found(Enum):
    YES = 1
    NO = 2
    PERHAPS = 3  # more text will tell


class Candidate:
    """What `whole` matches. `partial` matches every proper beginning of that, of bounded length."""

    def __init__(self, whole: str, partial: str) -> None:
        self._whole = re.compile(whole)
        self._partial = re.compile(partial)

    def at(self, text: str, start: int) -> Found:
        if self._whole.match(text, start):
            return Found.YES
        return Found.PERHAPS if self._partial.fullmatch(text, start) else Found.NO
