"""A clock, records to write down, and the databases to write them to."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.records import Usage, UsageRecord
from server.settings import LedgerSettings
from tests.telemetry.helpers import Clock, MakeRecord, Postgres, emptied, postgres_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_record() -> MakeRecord:
    def make(
        request_id: str | None = None,
        usage: Usage | None = None,
        **fields: object,
    ) -> UsageRecord:
        known = {
            "model": "electron", "cause": "stop", "ttft": 0.1, "duration": 1.0, "account": "acme", "key_id": "k1",
            "plan": "standard", "started_at": 1_700_000_000.0, "delivered_tokens": 2, "price_nanos": 8000,
        }  # fmt: skip
        return UsageRecord(
            request_id=request_id or str(uuid.uuid4()), usage=usage or Usage(20, 3, 16), **{**known, **fields}
        )  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_settings(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerSettings:
    """An empty ledger of each kind."""
    if request.param == "sqlite":
        return LedgerSettings(directory=tmp_path, max_loss=20)  # a busy machine is no database that is away
    server: Postgres = request.getfixturevalue("postgres")
    return LedgerSettings(directory=tmp_path, url=emptied(server), max_loss=20)
