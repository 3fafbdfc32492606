"""Two servers behind a real proxy, of which one is restarted under load; benchmarks/rolling.py restarts both."""

from pathlib import Path

from benchmarks.callers import COMPLETE
from benchmarks.rolling import rolling
from tests.conftest import Server


async def test_no_whole_answer_fails_and_every_stream_has_an_end(tmp_path: Path, server: Server) -> None:
    streamed, whole = await rolling(tmp_path, fellow=server)
    assert set(whole) == {COMPLETE}
    assert set(streamed) <= {COMPLETE, "error event service_unavailable"}
