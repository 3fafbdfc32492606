"""The ledger keeps each record once, whatever happens to its database."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, select
from sqlalchemy.exc import OperationalError

from server.records import Usage
from server.settings import LedgerSettings, SettingsError
from server.telemetry.database import Database, ledger_url, usage_table
from server.telemetry.journal import Journal
from server.telemetry.ledger import BATCH, Ledger
from server.telemetry.rows import Row, row_of
from tests.telemetry.helpers import Clock, MakeRecord, Postgres, emptied

MAX_LOSS = 1.0
WRITER = "tests.telemetry.ledger_writer"


class Breaking(Database):
    """Raises what it is told to."""

    def __init__(self, url: URL) -> None:
        super().__init__(url, 1.0)
        self.fault: Exception | None = None
        self.batches: list[int] = []

    async def prepare(self) -> None:
        self._fail()
        await super().prepare()

    async def write(self, rows: Sequence[Row]) -> None:
        self._fail()
        self.batches.append(len(rows))
        await super().write(rows)

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


GONE = OperationalError("insert", None, Exception("the server closed the connection"))


async def rows_in(settings: LedgerSettings) -> list[Any]:
    database = Database(ledger_url(settings), 5.0)
    try:
        return list(await database.read(select(usage_table).order_by(usage_table.c.request_id)))
    finally:
        await database.close()


async def ids_in(settings: LedgerSettings) -> list[str]:
    return [row.request_id for row in await rows_in(settings)]


@asynccontextmanager
async def opened(ledger: Ledger) -> AsyncIterator[Ledger]:
    await ledger.recover()
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_every_field_of_a_record_is_kept(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    record = make_record("id", cause="disconnect", started_at=1_700_000_000.25)
    async with opened(Ledger(ledger_settings, clock)) as ledger:
        ledger.add(record)
    (row,) = await rows_in(ledger_settings)
    assert row._asdict() == row_of(record)
    assert row.day == "2023-11-14"
    assert (row.prompt_tokens, row.cached_tokens, row.generated_tokens, row.delivered_tokens) == (20, 16, 3, 2)


async def test_no_ttft_is_no_value(ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord) -> None:
    async with opened(Ledger(ledger_settings, clock)) as ledger:
        ledger.add(make_record("id", ttft=None))
    assert [row.ttft for row in await rows_in(ledger_settings)] == [None]


async def test_closing_writes_what_is_pending_even_if_it_never_ran(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    ledger = Ledger(ledger_settings, clock)
    ledger.start()
    for i in range(3):
        ledger.add(make_record(f"{i}"))
    await ledger.close()
    assert await ids_in(ledger_settings) == ["0", "1", "2"]


async def test_two_thousand_records_and_their_sums(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    async with opened(Ledger(ledger_settings, clock)) as ledger:
        for i in range(2000):
            ledger.add(make_record(usage=Usage(i, 2 * i, i // 2), cause=("stop", "disconnect")[i % 2]))
        await ledger.flush()
    rows = await rows_in(ledger_settings)
    assert len(rows) == 2000
    assert sum(row.prompt_tokens for row in rows) == sum(range(2000))
    assert sum(row.generated_tokens for row in rows) == 2 * sum(range(2000))


async def test_records_are_written_in_batches(tmp_path: Path, clock: Clock, make_record: MakeRecord) -> None:
    settings = LedgerSettings(directory=tmp_path)
    database = Breaking(ledger_url(settings))
    async with opened(Ledger(settings, clock, database)) as ledger:
        for _ in range(2 * BATCH + 1):
            ledger.add(make_record())
        await ledger.flush()
        assert database.batches == [BATCH, BATCH, 1]
        await ledger.flush()
        assert database.batches == [BATCH, BATCH, 1]


async def test_the_same_record_twice_is_one_row(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    record = make_record("id")
    async with opened(Ledger(ledger_settings, clock)) as ledger:
        ledger.add(record)
        ledger.add(record)
        await ledger.flush()
        ledger.add(record)
    assert await ids_in(ledger_settings) == ["id"]


async def test_many_may_make_the_table_at_once(tmp_path: Path) -> None:
    databases = [Database(ledger_url(LedgerSettings(directory=tmp_path)), 20.0) for _ in range(8)]
    await asyncio.gather(*(database.prepare() for database in databases))
    await asyncio.gather(*(database.close() for database in databases))


async def test_two_ledgers_share_one_database(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    async with opened(Ledger(ledger_settings, clock)) as one, opened(Ledger(ledger_settings, clock)) as other:
        for i in range(50):
            (one, other)[i % 2].add(make_record())
        await asyncio.gather(one.flush(), other.flush())
    assert len(await ids_in(ledger_settings)) == 50


async def test_a_database_that_goes_and_comes_back(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    database = Breaking(ledger_url(ledger_settings))
    async with opened(Ledger(ledger_settings, clock, database)) as ledger:
        ledger.add(make_record("0"))
        await ledger.flush()
        database.fault = GONE
        for i in (1, 2):
            ledger.add(make_record(f"{i}"))
            await ledger.flush()
        assert (ledger.state().up, ledger.state().pending, ledger.state().journaled) == (False, 0, 2)
        assert await ids_in(ledger_settings) == ["0"]
        await ledger.recover()
        assert not ledger.state().up
        database.fault = None
        await ledger.recover()
        assert ledger.state().up
        assert await ids_in(ledger_settings) == ["0", "1", "2"]
        ledger.add(make_record("3"))
        await ledger.flush()
    assert await ids_in(ledger_settings) == ["0", "1", "2", "3"]
    assert list((ledger_settings.directory / "journal").iterdir()) == []


async def test_a_write_that_happened_but_was_not_confirmed_is_not_repeated(
    ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord
) -> None:
    class Silent(Breaking):
        async def write(self, rows: Sequence[Row]) -> None:
            await super().write(rows)
            if len(self.batches) == 1:
                raise TimeoutError

    async with opened(Ledger(ledger_settings, clock, Silent(ledger_url(ledger_settings)))) as ledger:
        ledger.add(make_record("id"))
        await ledger.flush()
        assert ledger.state().journaled == 1
        await ledger.recover()
    assert await ids_in(ledger_settings) == ["id"]


async def test_a_database_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    class Hanging(Breaking):
        async def write(self, rows: Sequence[Row]) -> None:
            await asyncio.Event().wait()

    settings = LedgerSettings(directory=tmp_path, max_loss=0.1)
    ledger = Ledger(settings, clock, Hanging(ledger_url(settings)))
    await ledger.recover()
    ledger.add(make_record("id"))
    await ledger.flush()
    assert (ledger.state().up, ledger.state().pending, ledger.state().journaled) == (False, 0, 1)
    await ledger.close()
    async with opened(Ledger(settings, clock)):
        pass
    assert await ids_in(settings) == ["id"]


async def test_postgresql_is_killed_and_started_again(
    postgres: Postgres, tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path, url=emptied(postgres))
    async with opened(Ledger(settings, clock)) as ledger:
        ledger.add(make_record("0"))
        await ledger.flush()
        postgres.stop()
        try:
            ledger.add(make_record("1"))
            await ledger.flush()
            assert not ledger.state().up
        finally:
            postgres.start()
        ledger.add(make_record("2"))
        await ledger.flush()
        await ledger.recover()
        assert ledger.state().up
    assert await ids_in(settings) == ["0", "1", "2"]


async def test_a_server_without_its_database_starts_and_catches_up(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path)
    database = Breaking(ledger_url(settings))
    database.fault = GONE
    async with opened(Ledger(settings, clock, database)) as ledger:
        ledger.add(make_record("early"))
        await ledger.flush()
        database.fault = None
        await ledger.recover()
    assert await ids_in(settings) == ["early"]


async def test_the_journal_of_a_dead_process_is_replayed(tmp_path: Path, clock: Clock, make_record: MakeRecord) -> None:
    settings = LedgerSettings(directory=tmp_path)
    journal = Journal(tmp_path / "journal")
    journal.append([row_of(make_record(f"{i}")) for i in range(3)])
    journal.rotate()  # the system gives a dead process's lock back just as this does
    (file,) = (tmp_path / "journal").iterdir()
    with file.open("ab") as torn:
        torn.write(b'{"request_id":"torn')
    async with opened(Ledger(settings, clock)):
        pass
    assert await ids_in(settings) == ["0", "1", "2"]
    assert not file.exists()


async def test_the_journal_of_a_living_process_is_left_to_it(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path)
    journal = Journal(tmp_path / "journal")
    journal.append([row_of(make_record("mine"))])
    async with opened(Ledger(settings, clock)):
        pass
    assert await ids_in(settings) == []
    assert len(list(journal.files())) == 0
    journal.rotate()
    assert len(list(journal.files())) == 1


async def test_what_was_at_work_when_the_process_died_becomes_a_row_unless_it_has_one(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path)
    notes = Journal(tmp_path / "at_work", durable=False)
    notes.replace([row_of(make_record(name, cause="crash")) for name in ("old", "early")])
    notes.replace([row_of(make_record(name, cause="crash")) for name in ("ended", "journaled", "early")])
    journal = Journal(tmp_path / "journal")
    journal.append([row_of(make_record("journaled", cause="stop"))])
    async with opened(Ledger(settings, clock)) as ledger:
        ledger.add(make_record("ended", cause="length"))
        await ledger.flush()
        assert await ids_in(settings) == ["ended"]
        for files in (journal, notes):
            files.rotate()  # the system gives a dead process's lock back just as this does
        await ledger.recover()
    causes = {row.request_id: row.cause for row in await rows_in(settings)}
    assert causes == {"ended": "length", "journaled": "stop", "early": "crash"}
    assert list((tmp_path / "at_work").iterdir()) == []


async def test_nothing_at_work_is_noted_of_who_closes_well(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path, max_loss=0.04)
    at_work = [lambda: make_record("one", cause="crash")]

    def noted() -> list[Path]:
        return list((tmp_path / "at_work").glob("*.jsonl"))

    ledger = Ledger(settings, clock)
    ledger.watch(lambda: at_work)
    ledger.start()
    async with asyncio.timeout(60):
        while not noted():  # noqa: ASYNC110  # a thread writes it
            await asyncio.sleep(0.01)
    async with opened(Ledger(settings, clock)) as other:
        await other.recover()
    assert await ids_in(settings) == []
    at_work.clear()
    await ledger.close()
    assert noted() == []
    assert await ids_in(settings) == []


async def test_without_database_and_disk_memory_is_bounded(
    tmp_path: Path, clock: Clock, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, rows: Sequence[Row]) -> None:
        raise OSError(28, "No space left on device")

    settings = LedgerSettings(directory=tmp_path, max_pending=5)
    database = Breaking(ledger_url(settings))
    database.fault = GONE
    async with opened(Ledger(settings, clock, database)) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", full)
            patch.setattr(Journal, "replace", full)
            for i in range(8):
                ledger.add(make_record(f"{i}"))
                await ledger.flush()
        assert (ledger.state().pending, ledger.state().lost) == (5, 3)
        database.fault = None
    assert await ids_in(settings) == ["0", "1", "2", "3", "4"]


async def test_the_lag_is_the_age_of_the_oldest_row_that_is_not_in_the_database(
    tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path)
    database = Breaking(ledger_url(settings))
    async with opened(Ledger(settings, clock, database)) as ledger:
        assert ledger.state().lag == 0
        ledger.add(make_record())
        clock.now += 0.5
        assert ledger.state().lag == 0.5
        await ledger.flush()
        assert ledger.state().lag == 0
        database.fault = GONE
        ledger.add(make_record())
        await ledger.flush()
        clock.now += 60
        ledger.add(make_record())
        assert ledger.state().lag == 60
        database.fault = None
        await ledger.recover()
        await ledger.flush()
        assert ledger.state().lag == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A quarter of a megabyte. Mounting takes root, which CI has."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_disk_that_is_full_and_then_is_not(
    small_disk: Path, tmp_path: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=tmp_path, url=f"sqlite:///{small_disk}/usage.db")
    async with opened(Ledger(settings, clock)) as ledger:
        ballast = small_disk / "ballast"
        fill(ballast)
        for i in range(300):
            ledger.add(make_record(f"{i:04}"))
            await ledger.flush()
        assert not ledger.state().up
        assert (ledger.state().pending, ledger.state().lost) == (0, 0)
        ballast.unlink()
        await ledger.recover()
        assert ledger.state().up
    assert await ids_in(settings) == [f"{i:04}" for i in range(300)]


async def test_a_journal_on_the_same_small_disk_keeps_whole_lines(
    small_disk: Path, clock: Clock, make_record: MakeRecord
) -> None:
    settings = LedgerSettings(directory=small_disk)
    async with opened(Ledger(settings, clock)) as ledger:
        ballast = small_disk / "ballast"
        fill(ballast)
        for i in range(300):
            ledger.add(make_record(f"{i:04}"))
            await ledger.flush()
        assert ledger.state().pending > 0
        ballast.unlink()
        await ledger.recover()
        await ledger.flush()
        assert ledger.state().pending == 0
    assert await ids_in(settings) == [f"{i:04}" for i in range(300)]


def test_after_a_disk_that_was_full_a_journal_goes_on_where_its_last_whole_line_ends(
    small_disk: Path, make_record: MakeRecord
) -> None:
    journal = Journal(small_disk / "journal")
    rows = [row_of(make_record(f"{i:04}")) for i in range(100)]
    journal.append(rows[:1])
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(OSError, match="No space left"):
        journal.append(rows)  # some of them fit in what the last block has left
    ballast.unlink()
    journal.append(rows)
    journal.rotate()
    (file,) = journal.files()
    assert list(chain.from_iterable(file.chunks())) == [rows[0], *rows]
    file.close()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"0" * 1024)
        except OSError:
            return


async def test_a_locked_database_delays_nobody(tmp_path: Path, make_record: MakeRecord) -> None:
    settings = LedgerSettings(directory=tmp_path, max_loss=0.2)
    async with opened(Ledger(settings, time.monotonic)) as ledger:
        with sqlite3.connect(tmp_path / "usage.db", isolation_level=None) as lock:
            lock.execute("begin immediate")
            ledger.add(make_record("id"))
            await ledger.flush()
            assert ledger.state().journaled == 1
            lock.execute("rollback")
        lock.close()
        await ledger.recover()
        assert ledger.state().up
    assert await ids_in(settings) == ["id"]


async def test_kill_loses_at_most_the_configured_second(ledger_settings: LedgerSettings) -> None:
    url = ledger_settings.url.get_secret_value() if ledger_settings.url else ""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", WRITER, str(ledger_settings.directory), url, str(MAX_LOSS), stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert writer.stdout is not None
    written: dict[str, float] = {}
    async for line in writer.stdout:
        request_id, added_at = line.decode().split()
        written[request_id] = float(added_at)
        if max(written.values()) - min(written.values()) > 3 * MAX_LOSS:
            break
    writer.send_signal(signal.SIGKILL)
    killed_at = max(written.values())
    await writer.wait()
    async with opened(Ledger(ledger_settings, time.monotonic)):
        kept = set(await ids_in(ledger_settings))
    lost = {request_id: killed_at - at for request_id, at in written.items() if request_id not in kept}
    assert max(lost.values(), default=0.0) <= MAX_LOSS
    assert len(kept) > len(written) / 2


@pytest.mark.parametrize("url", ["mysql://h/db", "nonsense"])
def test_other_databases_are_refused_without_their_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"telemetry\.ledger\.url"):
        ledger_url(LedgerSettings(directory=tmp_path, url=url))


def test_the_password_is_not_printed(tmp_path: Path) -> None:
    settings = LedgerSettings(directory=tmp_path, url="postgresql://u:secret@h/db")
    assert "secret" not in settings.model_dump_json() + repr(settings)
    assert ledger_url(settings).password == "secret"
