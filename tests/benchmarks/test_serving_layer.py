"""The benchmark of the serving layer counts what there is to count."""

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving_layer import client, report, workload
from benchmarks.serving_layer.null_worker import Progress, _allowed

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
CALL = b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":5}}}\n\n'
LAST = b"data: [DONE]\n\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def serve(listener: socket.socket, pieces: list[bytes], ready: threading.Semaphore, requests: int) -> None:
    """Answers so many, piece by piece as the client has read the one before."""
    connection, _ = listener.accept()
    with connection:
        for _ in range(requests):
            request = b""
            while not request.endswith(b"}"):
                request += connection.recv(65536)
            for piece in pieces:
                ready.acquire(timeout=10)
                connection.sendall(piece)


@pytest.mark.parametrize("first", [WORD, CALL])
def test_the_first_words_or_call_are_the_first_token(monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    ready = threading.Semaphore()
    hear = client.Stream.hear

    def heard(stream: client.Stream) -> bool:
        goes_on = hear(stream)
        ready.release()
        return goes_on

    monkeypatch.setattr(client.Stream, "hear", heard)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pieces = [HEAD + chunk(ROLE), chunk(first), chunk(WORD), chunk(USAGE) + chunk(LAST) + b"0\r\n\r\n"]
        serving = threading.Thread(target=serve, args=(listener, pieces, ready, 2), daemon=True)
        serving.start()
        results = client.run({"port": listener.getsockname()[1], "streams": [[{"n": 1}, {"n": 2}]]})
        serving.join(10)
    assert not serving.is_alive()
    assert (len(results.ttfts), len(results.gaps)) == (2, 4)
    assert (results.tokens, results.cached, results.arrivals) == (14, 10, 6)


def test_an_error_in_the_stream_ends_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pieces = [HEAD + chunk(WORD) + chunk(b"event: error\ndata: {}\n\n")]
        serving = threading.Thread(target=serve, args=(listener, pieces, threading.Semaphore(2), 1), daemon=True)
        serving.start()
        with pytest.raises(SystemExit, match="failed"):
            client.run({"port": listener.getsockname()[1], "streams": [[{"n": 1}]]})
        serving.join(10)
    assert not serving.is_alive()


def test_a_conversation_only_grows_so_that_its_prefix_is_cached() -> None:
    first, second = workload.conversation("S", 1, 2, "tools", "electron")
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert first["tools"] and first["seed"] != workload.conversation("S", 1, 1, "plain", "electron")[0]["seed"]


def test_the_worker_follows_its_script_once_the_prompt_is_computed() -> None:
    progress = Progress([5, 6, 7], prompt=10, computed=4)
    assert [progress.step(4), progress.step(2), progress.step(1), progress.step(1), progress.step(1)] == [
        [],
        [5],
        [6],
        [7],
        [5],
    ]


def test_the_worker_obeys_a_grammar() -> None:
    mask = np.array([1 << 3 | 1 << 9], dtype=np.int32)
    assert [_allowed(mask, token) for token in (3, 9, 4)] == [3, 9, 3]


def row(subject: str, kind: str, round_: int, cpu: float) -> dict[str, object]:
    figures = dict.fromkeys(("rate", "ttft_p50", "ttft_p99", "gap_p50", "gap_p99", "tokens_per_arrival"), 1.0)
    return {"subject": subject, "kind": kind, "round": round_, "concurrency": 32, "cpu": cpu, **figures}


def test_ratios_are_those_within_a_round(tmp_path: Path) -> None:
    rows = [
        row(subject, kind, round_, cpu * round_)
        for round_ in (1, 2, 3)
        for subject, kind, cpu in (("ours", "plain", 10.0), ("rust", "plain", 20.0), ("ours", "tools", 12.0))
    ]
    table = report.markdown(rows)
    assert "| vllm serve, Rust front end | plain | 32 | 0.50 (0.50 to 0.50) |" in table
    assert "| our plain turns | tools | 32 | 1.20 (1.20 to 1.20) |" in table
    report.plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_two_processes_are_held_against_one() -> None:
    rows = [row(subject, "plain", round_, cpu) for round_ in (1, 2) for subject, cpu in (("ours", 10.0), ("two", 15.0))]
    *_, line = report.markdown(rows).splitlines()
    assert line.startswith("| plain | 32 | 1.00 (1.00 to 1.00) | 1.50 (1.50 to 1.50) |")


def test_the_readme_has_the_tables_that_were_measured() -> None:
    text = report.README.read_text(encoding="utf-8")
    assert report.PLACE.search(text) and report.filled(text) == text
