"""Rows on the local disk, as files of JSON lines: for as long as the database is away, or a request is at work."""

import fcntl
import itertools
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from server.telemetry.rows import Row

CHUNK = 200  # rows

logger = logging.getLogger("server.telemetry")


class Journal:
    """Any thread may call any method; all of them block.

    Who writes a file holds a lock on it, which the system takes back from the dead. So several processes share one
    folder, and whoever finds a file without an owner may replay it.

    durable: what was written survives a failure of the machine as well, not only one of the process.
    """

    def __init__(self, directory: Path, durable: bool = True) -> None:
        self._directory = directory
        self._durable = durable
        self._file: BinaryIO | None = None
        self._turn = threading.Lock()

    def append(self, rows: Sequence[Row]) -> None:
        """All of them, on the disk when this returns.

        Raises:
            OSError: none of them.
        """
        lines = _lines(rows)
        with self._turn:
            file = self._file = self._file or self._create()
            end = os.fstat(file.fileno()).st_size
            try:
                self._put(file, lines)
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise

    def replace(self, rows: Sequence[Row]) -> None:
        """These in place of all that were written since it was last rotated.

        Raises:
            OSError: what was written before is still there.
        """
        with self._turn:
            file, lines = None, _lines(rows)
            if lines:
                file = self._create()
                try:
                    self._put(file, lines)
                except OSError:
                    _remove(file)
                    raise
            old, self._file = self._file, file
            if old is not None:
                _remove(old)

    def rotate(self) -> None:
        """Leave what was written so far to be replayed."""
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None

    @property
    def writing(self) -> bool:
        """Whether anything was appended since it was last rotated."""
        return self._file is not None

    def files(self) -> "Iterator[JournalFile]":
        """Those that nobody writes, oldest first. Each is ours until it is closed."""
        for path in sorted(self._directory.glob("*.jsonl"), key=_written_at):
            if file := _seize(path):
                yield JournalFile(path, file)

    def _create(self) -> BinaryIO:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{uuid.uuid4()}.new"
        # Written at the end, wherever that is after an append that failed.
        file = cast(BinaryIO, path.open("ab", buffering=0))
        fcntl.flock(file, fcntl.LOCK_EX)
        path.rename(path.with_suffix(".jsonl"))  # only now will others look at it
        if self._durable:
            _sync_names(self._directory)
        return file

    def _put(self, file: BinaryIO, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if self._durable:
            os.fsync(file.fileno())


class JournalFile:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._broken = 0

    def chunks(self) -> Iterator[list[Row]]:
        rows = (row for row in map(self._row, self._file) if row is not None)
        while chunk := list(itertools.islice(rows, CHUNK)):
            yield chunk

    def remove(self) -> None:
        """After all of it was read. One with lines that do not parse is kept under another name."""
        if self._broken:
            logger.error("%d lines of %s could not be read; see %s.bad", self._broken, self._path, self._path)
            self._path.rename(f"{self._path}.bad")
        else:
            self._path.unlink()
        self.close()

    def close(self) -> None:
        self._file.close()

    def _row(self, line: bytes) -> Row | None:
        if not line.endswith(b"\n"):
            return None  # the writer died in the middle of it
        try:
            return cast(Row, orjson.loads(line))
        except orjson.JSONDecodeError:
            self._broken += 1
            return None


def _lines(rows: Sequence[Row]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _remove(file: BinaryIO) -> None:
    """One that `_create` has made."""
    Path(file.name).with_suffix(".jsonl").unlink()
    file.close()


def _sync_names(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _seize(path: Path) -> BinaryIO | None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if path.exists():
        return file
    file.close()  # another process has replayed it meanwhile
    return None
