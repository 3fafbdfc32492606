"""Who used how much, by day, key and model."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from server.cli import main
from server.records import Usage
from server.settings import LedgerSettings, SettingsError
from server.telemetry.ledger import Ledger
from server.telemetry.usage import UsageRow, parse_since, usage_rows
from server.telemetry.usage_report import usage_report
from tests.telemetry.helpers import Clock, MakeRecord

MONDAY = datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC).timestamp()
TUESDAY = datetime(2026, 1, 6, tzinfo=UTC).timestamp()


@pytest.fixture
async def ledger(ledger_settings: LedgerSettings, clock: Clock, make_record: MakeRecord) -> LedgerSettings:
    """Three requests of acme, one of bolt."""
    book = Ledger(ledger_settings, clock)
    used = Usage(100, 10, 60)
    for key, model, started, account in (
        ("k1", "electron", MONDAY, "acme"),
        ("k1", "tiny", TUESDAY, "acme"),
        ("k2", "electron", TUESDAY, "acme"),
        ("k3", "electron", TUESDAY, "bolt"),
    ):
        book.add(make_record(usage=used, key_id=key, model=model, started_at=started, account=account))
    await book.close()
    return ledger_settings


def rows_of(group: str, requests: int) -> UsageRow:
    """As many requests as `make_record` makes."""
    return UsageRow(
        group, requests, 100 * requests, 60 * requests, 10 * requests, 2 * requests, Decimal(requests) * 8 / 10**6
    )


@pytest.mark.parametrize(
    ("by", "account", "since", "expected"),
    [
        ("day", "acme", None, [("2026-01-05", 1), ("2026-01-06", 2)]),
        ("day", None, None, [("2026-01-05", 1), ("2026-01-06", 3)]),
        ("key", "acme", None, [("k1", 2), ("k2", 1)]),
        ("model", "acme", None, [("electron", 2), ("tiny", 1)]),
        ("model", "acme", TUESDAY, [("electron", 1), ("tiny", 1)]),
        ("key", None, TUESDAY + 1, []),
        ("key", "nobody", None, []),
    ],
)
async def test_sums(
    ledger: LedgerSettings, by: str, account: str | None, since: float | None, expected: list[tuple[str, int]]
) -> None:
    found = await asyncio.to_thread(usage_rows, ledger, by, account, since)  # type: ignore[arg-type]
    assert found == [rows_of(group, requests) for group, requests in expected]


async def test_the_command_says_it(ledger: LedgerSettings, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["usage", "--account", "acme", "--by", "day", "--format", "csv"]
    words += ["--set", f"telemetry.ledger.directory={ledger.directory}"]
    words += ["--set", f"telemetry.ledger.url={ledger.url.get_secret_value()}"] if ledger.url else []
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main, words)
    assert ended.value.code == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [row[:2] for row in rows[1:3]] == [["2026-01-05", "1"], ["2026-01-06", "2"]]


async def test_a_ledger_that_was_never_written_is_empty(ledger_settings: LedgerSettings, clock: Clock) -> None:
    await Ledger(ledger_settings, clock).close()
    assert await asyncio.to_thread(usage_rows, ledger_settings, "day") == []


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no usage ledger at .*usage\.db"):
        usage_rows(LedgerSettings(directory=tmp_path), "day")
    assert not list(tmp_path.iterdir())


async def test_a_database_that_is_away_is_told(tmp_path: object) -> None:
    settings = LedgerSettings(url="postgresql://u:secret@127.0.0.1:1/db")
    with pytest.raises(SettingsError, match="cannot be read") as refusal:
        await asyncio.to_thread(usage_rows, settings, "day")
    assert "secret" not in str(refusal.value)


ROWS = [rows_of("k1", 2), rows_of("k2", 1)]


def test_the_table_has_sums_and_columns_in_line() -> None:
    head, *lines, total = usage_report(ROWS, "key", "table").splitlines()
    assert head.split() == [
        "key", "requests", "prompt_tokens", "cached_tokens", "generated_tokens", "delivered_tokens", "price",
    ]  # fmt: skip
    assert lines[0].split() == ["k1", "2", "200", "120", "20", "4", "0.000016"]
    assert total.split() == ["total", "3", "300", "180", "30", "6", "0.000024"]
    assert len({len(line) for line in (head, *lines, total)}) == 1


def test_csv_and_json_say_the_same() -> None:
    from_csv = list(csv.DictReader(io.StringIO(usage_report(ROWS, "key", "csv"))))
    from_json = orjson.loads(usage_report(ROWS, "key", "json"))
    assert from_csv == [{name: str(value) for name, value in row.items()} for row in from_json]
    assert from_json[0]["price"] == "0.000016"


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nothing_is_a_report_too(form: str) -> None:
    assert usage_report([], "day", form)  # type: ignore[arg-type]


NOW = 1_767_744_000.0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - 5400),
        ("24h", NOW - 86_400),
        ("7d", NOW - 604_800),
        ("2026-01-06", TUESDAY),
        ("2026-01-06T02:00:00+02:00", TUESDAY),
        ("2026-01-06T00:00:00Z", TUESDAY),
    ],
)
def test_since(text: str, moment: float) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-1d"])
def test_since_what(text: str) -> None:
    with pytest.raises(SettingsError, match="--since"):
        parse_since(text, NOW)
