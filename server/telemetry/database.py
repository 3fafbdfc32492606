"""The table of usage, in SQLite or PostgreSQL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Double,
    Index,
    Insert,
    MetaData,
    Select,
    String,
    Table,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from server.settings import LedgerSettings, SettingsError
from server.telemetry.rows import Row

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
CONNECT_TIMEOUT = 5.0  # seconds

usage_table = Table(
    "electron_usage",
    MetaData(),
    Column("request_id", String(64), primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("day", String(10), nullable=False),
    *(Column(name, String(200), nullable=False) for name in ("account", "key_id", "plan", "model", "cause")),
    *(Column(f"{name}_tokens", BigInteger, nullable=False) for name in ("prompt", "cached", "generated", "delivered")),
    Column("ttft", Double),
    Column("duration", Double, nullable=False),
    Column("price_nanos", BigInteger, nullable=False),
    Index("electron_usage_by_account", "account", "started_at"),
    Index("electron_usage_by_time", "started_at"),
)


def ledger_url(settings: LedgerSettings) -> URL:
    """With our driver for its kind of database.

    Raises:
        SettingsError: neither SQLite nor PostgreSQL. The message has no password.
    """
    if settings.url is None:
        return URL.create(DRIVERS["sqlite"], database=str(settings.directory / "usage.db"))
    try:
        url = make_url(settings.url.get_secret_value())
    except ArgumentError:
        raise SettingsError("`telemetry.ledger.url` is not a URL") from None
    kind = url.drivername.split("+")[0]
    if kind not in DRIVERS:
        raise SettingsError(f"`telemetry.ledger.url`: expected sqlite or postgresql, got {kind!r}")
    return url.set(drivername=DRIVERS[kind])


class Database:
    """Writes rows, each once however often it is told to.

    patience: seconds to wait for another writer of a SQLite file.
    """

    def __init__(self, url: URL, patience: float) -> None:
        self._url = url
        self._engine = _engine(url, patience)

    async def prepare(self) -> None:
        """Connect anew; make the table where there is none."""
        await self._engine.dispose()
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        async with self._engine.begin() as connection:
            await connection.execute(CreateTable(usage_table, if_not_exists=True))  # another process may be at it, too
            for index in usage_table.indexes:
                await connection.execute(CreateIndex(index, if_not_exists=True))

    async def write(self, rows: Sequence[Row]) -> None:
        """In one transaction; a row whose request is known is passed over."""
        async with self._engine.begin() as connection:
            await connection.execute(self._insert(), [dict(row) for row in rows])

    async def read(self, query: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
            return rows

    async def close(self) -> None:
        await self._engine.dispose()

    def _insert(self) -> Insert:
        if self._engine.dialect.name == "postgresql":
            return postgresql.insert(usage_table).on_conflict_do_nothing(index_elements=["request_id"])
        return sqlite.insert(usage_table).on_conflict_do_nothing(index_elements=["request_id"])


def _engine(url: URL, patience: float) -> AsyncEngine:
    timeout = patience if url.get_backend_name() == "sqlite" else CONNECT_TIMEOUT
    engine = create_async_engine(
        url, hide_parameters=True, pool_size=2, max_overflow=0, connect_args={"timeout": timeout}
    )
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what is committed survives a power failure, too
    cursor.close()
