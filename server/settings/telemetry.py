"""What is kept, shown and said of the requests."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from server.settings.base import Secret, Section
from server.settings.environment import traces_wanted


class LedgerSettings(Section):
    """Where usage is kept: one row for every admitted request."""

    enabled: bool = True
    url: Secret | None = Field(
        None, description="postgresql://… or sqlite:///…; absent: usage.db (SQLite) in `directory`."
    )
    directory: Path = Field(Path("var"), description="Holds usage.db, and the journal for when the database is away.")
    max_loss: float = Field(1.0, gt=0, le=60, description="Seconds of records that a crash may cost.")
    max_pending: int = Field(20_000, ge=1, description="Records held in memory when neither database nor disk work.")


class MetricsSettings(Section):
    plan_label: bool = Field(True, description="Series by plan.")
    account_label: bool = Field(False, description="Request and token counters by account as well.")
    max_accounts: int = Field(100, ge=1, description="Accounts with series of their own; the rest is `other`.")
    page_age: float = Field(0.25, ge=0, description="Seconds for which a rendered page is served again.")


class TelemetrySettings(Section):
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["plain", "json"] = "plain"
    clause_length: int = Field(
        20, ge=1, description="Characters after which a comma, too, ends a clause that can be spoken."
    )
    ledger: LedgerSettings = LedgerSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: bool = Field(
        default_factory=traces_wanted,
        description="OpenTelemetry traces; absent: on where OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT is set.",
    )
