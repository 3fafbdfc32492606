"""The load: a process of its own that does next to nothing for each token.

Jobs on standard input, results on standard output.

python -m benchmarks.serving_layer.client
"""

import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

FIRST = re.compile(rb'"content":"[^"]|"tool_calls":\[\{')
TOKENS = re.compile(rb'"completion_tokens":(\d+)')
CACHED = re.compile(rb'"cached_tokens":(\d+)')
LAST, END = b"data: [DONE]", b"0\r\n\r\n"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
TAIL = 400  # bytes of an answer that are kept: its usage and its end


@dataclass(slots=True)
class Results:
    """Seconds. ttfts: to the first words or call. gaps: between two arrivals of one answer. seconds: of all."""

    ttfts: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    tokens: int = 0
    cached: int = 0
    arrivals: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


class Stream:
    """One caller, who asks one thing after the other."""

    def __init__(self, port: int, bodies: list[bytes], results: Results) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bodies = iter(bodies)
        self._results = results

    def ask(self) -> bool:
        """Whether there was anything left to ask."""
        body = next(self._bodies, None)
        if body is None:
            return False
        self._tail, self._first, self._arrived = b"", False, 0.0
        self._asked = time.perf_counter()
        self.socket.sendall(HEAD % len(body) + body)
        return True

    def hear(self) -> bool:
        """Whether the answer goes on."""
        data = self.socket.recv(1 << 18)
        now = time.perf_counter()
        if not data:
            raise SystemExit(f"the server hung up: {self._tail!r}")
        text = self._tail + data
        if b"event: error" in text:
            raise SystemExit(f"failed: {text!r}")
        if self._first:
            self._results.gaps.append(now - self._arrived)
            self._arrived = now
            self._results.arrivals += 1
        elif FIRST.search(text):
            self._results.ttfts.append(now - self._asked)
            self._first, self._arrived = True, now
            self._results.arrivals += 1
        elif text.startswith(b"HTTP/1.1 ") and not text.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {text!r}")
        self._tail = text[-TAIL:] if self._first else text
        if not (self._tail.endswith(END) and LAST in self._tail):
            return True
        self._results.tokens += int(TOKENS.search(self._tail)[1])  # type: ignore[index]  # the last event but one, usage, is in it
        cached = CACHED.search(self._tail)
        self._results.cached += int(cached[1]) if cached else 0
        return False


def run(job: dict[str, Any]) -> Results:
    """All streams at once, each with its bodies in turn."""
    results = Results()
    streams = [Stream(job["port"], [orjson.dumps(body) for body in bodies], results) for bodies in job["streams"]]
    selector = selectors.EpollSelector()
    began, cpu = time.perf_counter(), time.process_time()
    for stream in streams:
        stream.ask()
        selector.register(stream.socket, selectors.EVENT_READ, stream)
    waiting = len(streams)
    while waiting:
        for key, _ in selector.select():
            if not key.data.hear() and not key.data.ask():
                selector.unregister(key.data.socket)
                key.data.socket.close()
                waiting -= 1
    results.seconds, results.cpu = time.perf_counter() - began, time.process_time() - cpu
    return results


def main() -> None:
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(orjson.dumps(run(orjson.loads(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
