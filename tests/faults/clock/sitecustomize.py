"""A wall clock that can be set, in every Python process whose path leads here. WALL_CLOCK: a file with the offset."""

import os
import struct
import time

_file = os.open(os.environ["WALL_CLOCK"], os.O_RDONLY)
_time, _time_ns = time.time, time.time_ns


def _offset() -> int:
    """Seconds."""
    return int(struct.unpack("q", os.pread(_file, 8, 0))[0])


time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 10**9
