"""What hostile clients get, and what a caller hears and the server's memory holds meanwhile: a row for each attack.

electron-server serve --config configs/nano.yaml & python -m benchmarks.hostile --pid $!
"""

import argparse
import asyncio
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from urllib.parse import urlsplit

import httpx
import orjson
import psutil

from benchmarks.callers import at_rest, body, talk
from benchmarks.fuzz import CORPUS

CHAT = b"/v1/chat/completions"
MANY = 200  # connections
LARGE = 10 * 2**20  # bytes: over `http.max_body`
MOST = 7 * 2**20  # bytes: below it
VALUES = 120_000  # of JSON: below the bound, with the commas between them
REST = 2.0  # seconds between two attacks
UNREAD = 45.0  # seconds: far beyond `http.write_timeout`
EXPONENTIAL = ("(a+)+$", "(a|a)*b", "(.*)*x", "([a-z]+)*[0-9]", "(a{1,200}){1,200}", "((a?){50}){50}")

Answers = Counter[str]
Attack = Callable[[str, int], Awaitable[Answers]]  # host and port


def head(length: int | None = None, *headers: str, path: bytes = CHAT) -> bytes:
    """length: None where the body comes in chunks."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ["Host: x", "Content-Type: application/json", size, *headers]
    return b"POST " + path + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n"


def request(value: object) -> bytes:
    content = value if isinstance(value, bytes) else orjson.dumps(value)
    return head(len(content), "X-Request-Timeout: 20", "Connection: close") + content


async def answers(host: str, port: int, *pieces: bytes, pause: float = 0.0, waits: float = 120.0) -> Answers:
    """Status and type of each answer to what is sent, with so many seconds between the pieces."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**24)
    sending = asyncio.create_task(_send(writer, pieces, pause))
    try:
        async with asyncio.timeout(waits):
            received = await reader.read(-1)
    except TimeoutError:
        return Counter({"no answer": 1})
    except ConnectionError:
        return Counter({"connection reset": 1})
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    statuses = re.findall(rb"HTTP/1.1 (\d{3}) ", received)
    types = iter(re.findall(rb'"error":\{.*?"type":"(\w+)"', received))
    named = [code.decode() + (f" {next(types, b'?').decode()}" if code >= b"400" else "") for code in statuses]
    return Counter(named or ["closed"])


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[bytes], pause: float) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def unread(host: str, port: int, content: bytes) -> Answers:
    """Of an answer that is left where it is for longer than the server puts up with."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.setblocking(False)
        await loop.sock_connect(connection, (host, port))
        await loop.sock_sendall(connection, content)
        await asyncio.sleep(UNREAD)
        received = b""
        try:
            while piece := await loop.sock_recv(connection, 2**16):
                received += piece
        except ConnectionError:
            pass
    return Counter(["200" if received.endswith(b"0\r\n\r\n") else "cut off"])


async def together(attacks: Iterable[Awaitable[Answers]]) -> Answers:
    return sum(await asyncio.gather(*attacks), Answers())


def times(count: int, *pieces: bytes, pause: float = 0.0) -> Attack:
    return lambda host, port: together(answers(host, port, *pieces, pause=pause) for _ in range(count))


def each(contents: Iterable[object]) -> Attack:
    """All at once."""
    requests = [request(content) for content in contents]
    return lambda host, port: together(answers(host, port, one) for one in requests)


def raw(*requests: bytes) -> Attack:
    return lambda host, port: together(answers(host, port, one) for one in requests)


def stalled(count: int, content: bytes) -> Attack:
    return lambda host, port: together(unread(host, port, content) for _ in range(count))


def _chunks(size: int) -> list[bytes]:
    piece = b"10000\r\n" + b" " * 2**16 + b"\r\n"
    return [head(), *[piece] * (size // 2**16), b"0\r\n\r\n"]


def _values(value: bytes, count: int) -> bytes:
    return orjson.dumps(body(max_tokens=1))[:-1] + b',"x":[' + b",".join([value] * count) + b"]}"


def _members(count: int) -> bytes:
    members = b",".join(b'"k%d":0' % number for number in range(count))
    return orjson.dumps(body(max_tokens=1))[:-1] + b"," + members + b"}"


def _schema(schema: object) -> object:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    return body(max_tokens=2, response_format=wanted)


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _recursive(width: int) -> dict[str, object]:
    """Nodes that refer to each other, every one to all."""
    nodes = {f"n{a}": _object(**{f"p{b}": {"$ref": f"#/$defs/n{b}"} for b in range(width)}) for a in range(width)}
    return {"$defs": nodes, "$ref": "#/$defs/n0"}


def _tool(number: int) -> dict[str, object]:
    properties = {f"p{n}": {"type": "string", "description": "d" * 60} for n in range(1000)}
    return {"type": "function", "function": {"name": f"t{number}", "parameters": {"properties": properties}}}


def _said(text: str) -> object:
    return {"model": "electron", "messages": [{"role": "user", "content": text}], "max_tokens": 1}


def _told(text: str) -> object:
    messages = [{"role": "system", "content": text}, {"role": "user", "content": "Hello"}]
    return {"model": "electron", "messages": messages, "max_tokens": 1}


SMALL = orjson.dumps(body(max_tokens=1))
WORDY = orjson.dumps({**talk(), "logprobs": True, "top_logprobs": 20})
NOT_HTTP = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\tfolded\n\n",
    head(5, "Content-Length: 6") + b"hello",
    head(5, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head(2**70) + b"x",
    head() + b"zz\r\nno size\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
)
ODD = (
    b"GET /nowhere HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
    b"GET /%00%ff%ed%a0%80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET //livez?" + b"a=b&" * 5000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    head(len(SMALL), "Connection: close, Upgrade", "Upgrade: websocket") + SMALL,
    head(len(SMALL), "Connection: close", "Expect: 100-continue") + SMALL,
    head(len(SMALL), "Connection: close", "X-Request-Timeout: nan") + SMALL,
    head(len(SMALL), "Connection: close", "X-Service-Class: " + "\u00e4" * 100) + SMALL,
    head(len(SMALL), "Connection: close", "Content-Encoding: gzip") + SMALL,
    head(len(SMALL), "Connection: close", "Authorization: " + "Bearer " * 3000) + SMALL,
)
ATTACKS: dict[str, Attack] = {
    "nothing": lambda host, port: asyncio.sleep(5, Answers()),
    "what is not HTTP": raw(*NOT_HTTP),
    "odd heads": raw(*ODD),
    f"heads of 64 kB, {MANY} at once": times(MANY, head(2, "X-A: " + "a" * 2**16)),
    f"10 MB announced, {MANY} at once": times(MANY, head(LARGE), *[b" " * 2**16] * (LARGE // 2**16)),
    f"10 MB in chunks, {MANY} at once": times(MANY, *_chunks(LARGE)),
    f"7 MB of text, {MANY} at once": times(MANY, request(_said("alpha " * (MOST // 6)))),
    "7 MB of one word, 8 at once": times(8, request(_said("a" * MOST))),
    "7 MB of system prompt, 8 at once": times(8, request(_told("tool " * (MOST // 5)))),
    "system prompts that fill the window, 8 at once": each(_told(f"{number} " + "a" * 500_000) for number in range(8)),
    f"bodies that drip, {MANY} at once": times(MANY, head(10_000), *[b" "] * 100, pause=0.5),
    f"heads that drip, {MANY} at once": times(MANY, *[bytes([one]) for one in head(10)], pause=0.5),
    "readers that stop, 20 at once": stalled(20, head(len(WORDY), "Connection: close") + WORDY),
    "100 pipelined requests, 8 at once": times(8, *[head(len(SMALL)) + SMALL] * 99, request(SMALL)),
    "4,000,000 values, 16 at once": times(16, request(_values(b"0", MOST // 2))),
    "as many values as are read, 8 at once": times(8, request(_values(b"{}", VALUES))),
    "as many members as are read, 8 at once": times(8, request(_members(2 * VALUES))),
    "nested 100,000 deep, 16 at once": times(16, request(b"[" * 100_000)),
    "64 tools of 100 kB, 4 at once": times(4, request(body(tools=[_tool(number) for number in range(64)]))),
    "exponential patterns": each(_schema(_object(a={"type": "string", "pattern": one})) for one in EXPONENTIAL),
    "recursive schemas": each(_schema(_recursive(width)) for width in (1, 4, 16, 40)),
    "huge bounds": each(
        _schema(_object(a=bounds))
        for bounds in (
            {"type": "string", "minLength": 10**9, "maxLength": 10**9},
            {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
            {"type": "integer", "minimum": -(2**62), "maximum": 2**62},
            {"enum": [f"value {number}" for number in range(20_000)]},
        )
    ),
    "every body of the corpus": each(file.read_bytes() for file in sorted(CORPUS.glob("*.json"))),
}


def carry_out(name: str, host: str, port: int) -> Answers:
    """In a process of its own: what an attack costs its client must not delay those who listen."""
    return asyncio.run(ATTACKS[name](host, port))


class Listener:
    """Follows endless answers, and notes the longest silence in them."""

    def __init__(self, client: httpx.AsyncClient, count: int = 2) -> None:
        self._client = client
        self._arrivals: list[float] = []
        self.tasks = [asyncio.create_task(self._follow(number)) for number in range(count)]

    async def _follow(self, number: int) -> None:
        while True:
            async with self._client.stream("POST", CHAT.decode(), json=talk(number)) as response:
                response.raise_for_status()
                async for _ in response.aiter_lines():
                    if number == 0:
                        self._arrivals.append(time.monotonic())

    def longest(self, since: float) -> float:
        """Milliseconds, of the first."""
        inside = [since, *(moment for moment in self._arrivals if moment >= since), time.monotonic()]
        return 1000 * max(later - earlier for earlier, later in pairwise(inside))


class Memory:
    """Watches a process's resident memory. peak: MiB."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.peak = 0.0
        self.task = asyncio.create_task(self._watch())

    def now(self) -> float:
        return self._process.memory_info().rss / 2**20

    async def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(0.05)


async def run(url: str, process: psutil.Process, only: str, attacker: Executor) -> dict[str, float]:
    """What is left at work afterwards."""
    loop, place = asyncio.get_running_loop(), urlsplit(url)
    host, port = place.hostname or "127.0.0.1", place.port or 8000
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        listener, memory = Listener(client), Memory(process)
        await asyncio.sleep(REST)
        for name in ATTACKS:
            if only not in name:
                continue
            before, began = memory.now(), time.monotonic()
            memory.peak = before
            got = await loop.run_in_executor(attacker, carry_out, name, host, port)
            took, silence = time.monotonic() - began, listener.longest(began)
            heard = ", ".join(f"{count} x {answer}" for answer, count in got.most_common())
            print(
                f"| {name} | {heard} | {took:.1f} s | {silence:.0f} ms | {memory.peak - before:+.0f} MiB |", flush=True
            )
            assert process.is_running() and not any(task.done() for task in listener.tasks), "a listener was cut off"
            await asyncio.sleep(REST)
        for task in (*listener.tasks, memory.task):
            task.cancel()
        await asyncio.gather(*listener.tasks, memory.task, return_exceptions=True)
        return await at_rest(client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--pid", type=int, required=True, help="the API process")
    parser.add_argument("--only", default="", help="attacks with this in their name")
    options = parser.parse_args()
    print("| attack, beside two running calls | answers | within | longest silence of a call | memory, at most |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(1, get_context("spawn")) as attacker:
        left = asyncio.run(run(options.url, psutil.Process(options.pid), options.only, attacker))
    print(f"left at work: {left or 'nothing'}")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
