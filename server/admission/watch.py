"""The key file, watched."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from server.admission.callers import KeyRing
from server.admission.keyfile import KeyFileError, parse_key_file, read_key_file
from server.settings import PlanSettings

logger = logging.getLogger("server.admission")


class WatchedKeys:
    """`ring`: the keys of the last good version. `fault`: why a newer one was refused.

    The file is read again and again instead of being watched by the system: that also works where the file is a link
    that changes its target, as in a mounted Secret, and on any file system.

    Raises:
        KeyFileError: the first version cannot be used.
    """

    def __init__(self, path: Path, plans: Mapping[str, PlanSettings]) -> None:
        self._path = path
        self._plans = plans
        self.fault: str | None = None
        content = read_key_file(path)
        self.ring = self._parse(content)
        self._seen = hashlib.sha256(content).digest()

    def look(self) -> None:
        """Take the file as it is now, if it has changed and can be used."""
        try:
            content = read_key_file(self._path)
            seen = hashlib.sha256(content).digest()
            if seen != self._seen or self.fault is not None:
                self._take(content, seen)
        except KeyFileError as error:
            self._refuse(str(error))

    async def watch(self, interval: float) -> None:
        """Look every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:  # a revoked key must still be found out next time
                self._refuse(f"{self._path}: {type(error).__name__}")

    def _take(self, content: bytes, seen: bytes) -> None:
        ring = self._parse(content)
        self.ring, self._seen, self.fault = ring, seen, None
        logger.warning("%s: read again, %d valid keys", self._path, len(ring))

    def _refuse(self, fault: str) -> None:
        if fault != self.fault:
            logger.error("the key file is refused and the last good one kept: %s", fault)
        self.fault = fault

    def _parse(self, content: bytes) -> KeyRing:
        return KeyRing(parse_key_file(self._path, content, self._plans), self._plans)
