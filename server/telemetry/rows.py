"""A usage record as a row of the ledger."""

from datetime import UTC, datetime
from typing import TypedDict

from server.records import UsageRecord


class Row(TypedDict):
    """started_at: seconds since the epoch; day: in UTC; ttft, duration: seconds; price_nanos: see UsageRecord."""

    request_id: str
    started_at: float
    day: str
    account: str
    key_id: str
    plan: str
    model: str
    cause: str
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    delivered_tokens: int
    ttft: float | None
    duration: float
    price_nanos: int


def row_of(record: UsageRecord) -> Row:
    return Row(
        request_id=record.request_id,
        started_at=record.started_at,
        day=datetime.fromtimestamp(record.started_at, UTC).date().isoformat(),
        account=record.account,
        key_id=record.key_id,
        plan=record.plan,
        model=record.model,
        cause=record.cause,
        prompt_tokens=record.usage.prompt_tokens,
        cached_tokens=record.usage.cached_tokens,
        generated_tokens=record.usage.completion_tokens,
        delivered_tokens=record.delivered_tokens,
        ttft=record.ttft,
        duration=record.duration,
        price_nanos=record.price_nanos,
    )
