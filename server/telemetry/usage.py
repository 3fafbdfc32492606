"""Who used how much: what `electron-server usage` prints."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Select, func, select

from server.settings import LedgerSettings, SettingsError
from server.telemetry.database import Database, ledger_url, usage_table
from server.telemetry.prices import in_currency

By = Literal["day", "key", "model"]
COLUMN_OF: dict[By, str] = {"day": "day", "key": "key_id", "model": "model"}
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
PATIENCE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one group. Tokens; `price` in the currency of the price list."""

    group: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    delivered_tokens: int
    price: Decimal


def usage_rows(
    settings: LedgerSettings, by: By, account: str | None = None, since: float | None = None
) -> list[UsageRow]:
    """One row for each day (UTC), key or model, in order. Blocks; not for use in an event loop.

    account: of all accounts if None. since: seconds since the epoch.

    Raises:
        SettingsError: the database cannot be read.
    """
    url = ledger_url(settings)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        raise SettingsError(f"there is no usage ledger at {url.database}: see `telemetry.ledger`")
    try:
        return asyncio.run(read_usage(Database(url, PATIENCE), by, account, since))
    except OSError as error:
        raise SettingsError(f"the usage ledger cannot be read: {error}") from None


async def read_usage(database: Database, by: By, account: str | None, since: float | None) -> list[UsageRow]:
    """Closes the database."""
    try:
        await database.prepare()
        return [_usage_row(row) for row in await database.read(_query(by, account, since))]
    finally:
        await database.close()


def parse_since(text: str, now: float) -> float:
    """`90m`, `24h`, `7d`, `2w` ago, or a date or time in ISO 8601 (UTC where it has no zone). Seconds since the epoch.

    Raises:
        SettingsError: neither.
    """
    if ago := re.fullmatch(r"(\d+)([mhdw])", text):
        return now - int(ago[1]) * UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"`--since`: expected 24h, 7d or a date like 2026-01-31, got {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _query(by: By, account: str | None, since: float | None) -> Select[Any]:
    columns = usage_table.c
    group = columns[COLUMN_OF[by]]
    sums = [
        func.sum(columns[name])
        for name in ("prompt_tokens", "cached_tokens", "generated_tokens", "delivered_tokens", "price_nanos")
    ]
    query = select(group, func.count(), *sums).group_by(group).order_by(group)
    if account is not None:
        query = query.where(columns.account == account)
    if since is not None:
        query = query.where(columns.started_at >= since)
    return query


def _usage_row(row: Sequence[Any]) -> UsageRow:
    group, requests, prompt, cached, generated, delivered, nanos = row
    return UsageRow(group, requests, int(prompt), int(cached), int(generated), int(delivered), in_currency(int(nanos)))
