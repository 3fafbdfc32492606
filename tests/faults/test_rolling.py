"""Two servers behind a real proxy, restarted one after the other under load."""

from pathlib import Path

from benchmarks.callers import COMPLETE
from benchmarks.rolling import rolling


async def test_no_whole_answer_fails_and_every_stream_has_an_end(tmp_path: Path) -> None:
    streamed, whole = await rolling(tmp_path)
    assert set(whole) == {COMPLETE}
    assert set(streamed) <= {COMPLETE, "error event service_unavailable"}
