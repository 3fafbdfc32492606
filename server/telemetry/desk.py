"""All of telemetry, joined: what a lifecycle builds, starts and closes."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import REGISTRY
from sqlalchemy.exc import SQLAlchemyError

from server.errors import NotFound, Unavailable
from server.processes import Seat
from server.settings import PriceSettings, TelemetrySettings
from server.telemetry.database import Database, ledger_url
from server.telemetry.ledger import Ledger
from server.telemetry.ledger_metrics import LedgerCollector
from server.telemetry.loop_lag import LoopLag
from server.telemetry.metrics import Metrics
from server.telemetry.page import MetricsPage
from server.telemetry.prices import PriceList
from server.telemetry.recorder import Recorder
from server.telemetry.requests import Clock, Sink, log_record
from server.telemetry.shared_page import SharedPage
from server.telemetry.tracing import make_tracer
from server.telemetry.usage import PATIENCE, By, UsageRow, read_usage


class Desk:
    """Where requests are recorded.

    models: the served names. prices: by plan.
    seat: among several processes. reported_at: when the engine's scheduler last reported to this one; monotonic.

    Raises:
        SettingsError: the ledger's URL is of no use, or tracing lacks its packages.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        models: Iterable[str],
        prices: Mapping[str, PriceSettings],
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        seat: Seat | None = None,
        reported_at: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.metrics = Metrics(settings.metrics, models)
        page = (REGISTRY, self.metrics.registry), clock, settings.metrics.page_age
        self._shared_page = SharedPage(*page, seat, reported_at) if seat and seat.shared else None
        self.page = self._shared_page or MetricsPage(*page)
        self.ledger = Ledger(settings.ledger, clock) if settings.ledger.enabled else None
        self._ledger_url = ledger_url(settings.ledger)
        self._tracer = make_tracer(settings.tracing)
        self._loop_lag = LoopLag(self.metrics.observe_loop_lag, clock)
        sinks: list[Sink] = [log_record]
        if self.ledger is not None:
            sinks.append(self.ledger.add)
            LedgerCollector(self.ledger.state, self.metrics.registry)
        self.recorder = Recorder(
            clock, wall, PriceList(prices), self.metrics, sinks, self._tracer, settings.clause_length
        )
        if self.ledger is not None:
            self.ledger.watch(self.recorder.at_work)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.metrics.watch_tasks(lambda: len(asyncio.all_tasks(loop)))
        self._loop_lag.start()
        if self._shared_page is not None:
            self._shared_page.start()
        if self.ledger is not None:
            self.ledger.start()

    async def usage(self, by: By, account: str | None, since: float | None) -> list[UsageRow]:
        """What the ledger has, in sums; see `usage_rows`.

        Raises:
            NotFound: no ledger is kept.
            Unavailable: its database does not answer.
        """
        if self.ledger is None:
            raise NotFound("This server keeps no usage ledger.")
        try:
            return await read_usage(Database(self._ledger_url, PATIENCE), by, account, since)
        except (OSError, SQLAlchemyError) as error:
            raise Unavailable("The database of the usage ledger does not answer.") from error

    async def close(self) -> None:
        """After the last request: what was recorded is on a disk when this returns."""
        await self._loop_lag.close()
        if self._shared_page is not None:
            await self._shared_page.close()
        if self.ledger is not None:
            await self.ledger.close()
        await asyncio.to_thread(self._tracer.close)
