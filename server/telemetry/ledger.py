"""The ledger: a row for every admitted request, in a database, or in the journal for as long as that is away."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice

from server.records import UsageRecord
from server.settings import LedgerSettings
from server.telemetry.backoff import Backoff
from server.telemetry.database import Database, ledger_url
from server.telemetry.journal import Journal, JournalFile
from server.telemetry.requests import Clock, SoFar
from server.telemetry.rows import Row, row_of

BATCH = 200  # rows in one transaction: few enough that binding them does not hold up the event loop
REPLAY_TIMEOUT = 10.0  # seconds, for one batch
RETRY_FIRST, RETRY_MOST = 1.0, 30.0  # seconds

logger = logging.getLogger("server.telemetry")


@dataclass(frozen=True, slots=True)
class LedgerState:
    """up: rows go to the database. lag: age in seconds of the oldest row that is not there. The rest counts rows."""

    up: bool
    lag: float
    pending: int
    stored: int
    journaled: int
    lost: int


class Ledger:
    """Takes records at once and without waiting; one task writes them down.

    A quarter of `max_loss` passes between two writes, half of it is the database's time, what is left is for the
    journal: so a record is on a disk within `max_loss` of the end of its request. Use from one event loop.

    Twice in that time it notes what the requests at work have come to, in a journal that nobody replays while this
    process lives. Where it was killed they become rows, those whose own row was written in time excepted.
    """

    def __init__(self, settings: LedgerSettings, clock: Clock, database: Database | None = None) -> None:
        self._interval = settings.max_loss / 4
        self._patience = settings.max_loss / 2
        self._max_pending = settings.max_pending
        self._clock = clock
        # SQLite gives up on a lock of its own accord a little earlier, which is cleaner than being cancelled.
        self._database = database or Database(ledger_url(settings), 0.8 * self._patience)
        self._journal = Journal(settings.directory / "journal")
        self._notes = Journal(settings.directory / "at_work", durable=False)
        self._at_work: Callable[[], Sequence[SoFar]] = tuple
        self._backoff = Backoff(clock, RETRY_FIRST, RETRY_MOST)
        self._pending: deque[tuple[float, UsageRecord]] = deque()
        self._up = False
        self._behind_since: float | None = None  # the oldest row in the journal
        self._stored = self._journaled = self._lost = 0
        self._journal_works = self._notes_work = True
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None

    def add(self, record: UsageRecord) -> None:
        """Never waits, never raises."""
        if len(self._pending) >= self._max_pending:
            self._lose(record)
        else:
            self._pending.append((self._clock(), record))

    def watch(self, at_work: Callable[[], Sequence[SoFar]]) -> None:
        """at_work: the requests that have not ended, as their rows are to be if they never do."""
        self._at_work = at_work

    def start(self) -> None:
        self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write down what is left: to the journal where the database does not answer."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._last_chance()
        await self.flush()
        for _, record in self._pending:
            self._lose(record)
        await self._note()
        await asyncio.to_thread(self._journal.rotate)
        await self._database.close()

    def state(self) -> LedgerState:
        """From any thread."""
        lag = max(0.0, self._clock() - self._oldest())
        return LedgerState(self._up, lag, len(self._pending), self._stored, self._journaled, self._lost)

    async def flush(self) -> None:
        """Write down what is pending now."""
        for _ in range(0, len(self._pending), BATCH):
            batch = list(islice(self._pending, BATCH))
            if not await self._keep(batch):
                return
            for _ in batch:  # only now: whatever else happens, they are still there
                self._pending.popleft()

    async def recover(self) -> None:
        """Connect, replay the journal, go on with the database. A failure sets the time of the next attempt."""
        try:
            if not self._up:
                async with asyncio.timeout(REPLAY_TIMEOUT):
                    await self._database.prepare()
            await self._replay()
        except Exception as error:
            self._fall_back(error)
            return
        if not self._up:
            logger.info("the usage ledger's database is there")
        self._up = True

    async def _write(self) -> None:
        for turn in count():
            if self._closing.is_set():
                return
            self._recover_if_due()
            try:
                async with asyncio.timeout(self._interval):
                    await self._closing.wait()
            except TimeoutError:
                await self._flush_or_tell(note=turn % 2 == 0)

    async def _flush_or_tell(self, note: bool) -> None:
        """Whatever happens, the next flush comes."""
        try:
            await self.flush()
            if note:
                await self._note()
        except Exception:
            logger.exception("usage was not written")

    async def _note(self) -> None:
        """What has ended since the flush is noted as well: it is in memory alone."""
        ended, at_work = [record for _, record in islice(self._pending, BATCH)], self._at_work()

        def replace() -> None:
            self._notes.replace([row_of(one) for one in (*ended, *(so_far() for so_far in at_work))])

        try:
            await asyncio.to_thread(replace)
        except OSError as error:
            if self._notes_work:
                logger.warning("what requests at work come to cannot be noted: %s", error)
            self._notes_work = False
        else:
            self._notes_work = True

    def _recover_if_due(self) -> None:
        running = self._recovering is not None and not self._recovering.done()
        if not running and self._behind and self._backoff.due():
            self._recovering = asyncio.create_task(self.recover())

    async def _last_chance(self) -> None:
        if self._recovering is not None:
            await self._recovering  # a timeout cancels it
        if self._behind:
            await self.recover()

    @property
    def _behind(self) -> bool:
        return not self._up or self._behind_since is not None

    async def _keep(self, batch: Sequence[tuple[float, UsageRecord]]) -> bool:
        """Whether the batch is on a disk now."""
        rows = [row_of(record) for _, record in batch]
        if self._up and await self._store(rows):
            return True
        try:
            await asyncio.to_thread(self._journal.append, rows)
        except OSError as error:
            if self._journal_works:
                logger.error("the usage journal cannot be written, records stay in memory: %s", error)
            self._journal_works = False
            return False
        self._journal_works = True
        self._journaled += len(rows)
        self._behind_since = batch[0][0] if self._behind_since is None else self._behind_since
        return True

    async def _store(self, rows: Sequence[Row]) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                await self._database.write(rows)
        except Exception as error:
            self._fall_back(error)
            return False
        self._backoff.succeeded()
        self._stored += len(rows)
        return True

    async def _replay(self) -> None:
        """Until nothing is left that nobody writes."""
        while await self._replay_files():
            pass
        if not self._journal.writing:
            self._behind_since = None

    async def _replay_files(self) -> bool:
        await asyncio.to_thread(self._journal.rotate)
        files = await asyncio.to_thread(lambda: [*self._journal.files(), *self._notes.files()])
        try:
            for file in files:
                await self._replay_file(file)
        finally:
            for file in files:
                file.close()
        return bool(files)

    async def _replay_file(self, file: JournalFile) -> None:
        chunks = file.chunks()
        while rows := await asyncio.to_thread(next, chunks, None):
            async with asyncio.timeout(REPLAY_TIMEOUT):
                await self._database.write(rows)
            self._stored += len(rows)
        await asyncio.to_thread(file.remove)

    def _fall_back(self, error: BaseException) -> None:
        if self._up:
            logger.error("usage goes to the journal, since the database does not take it: %s", _reason(error))
        else:
            logger.warning("the usage ledger's database is not there yet: %s", _reason(error))
        self._up = False
        self._backoff.failed()

    def _lose(self, record: UsageRecord) -> None:
        if self._lost % 1000 == 0:
            logger.critical("usage of %s and others is lost: no database, no disk, no memory", record.request_id)
        self._lost += 1

    def _oldest(self) -> float:
        oldest = self._behind_since if self._behind_since is not None else float("inf")
        try:
            return min(oldest, self._pending[0][0])
        except IndexError:
            return oldest


def _reason(error: BaseException) -> str:
    """Short and without parameters."""
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no answer'}"
