"""Log lines: for people, or JSON for machines. Never a prompt, never a key."""

import logging
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from server.records import UsageRecord
from server.telemetry.prices import in_currency

PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Nothing of ours logs a key; an exception of a library might quote one.
KEY = re.compile(r"(\bsk[-_]|\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE)


def without_keys(text: str) -> str:
    return KEY.sub(r"\1…", text)


class PlainFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(PLAIN)

    def format(self, record: logging.LogRecord) -> str:
        return without_keys(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object a line. The line of a finished request has every field of its record.

    `request_id` joins it with the other lines about the request, which have it from `extra={"request_id": …}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_keys(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = without_keys(self.formatException(record.exc_info))
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        usage = getattr(record, "usage_record", None)
        if isinstance(usage, UsageRecord):
            line |= {"message": "request finished", **record_fields(usage)}
        return orjson.dumps(line, default=str).decode()


def record_fields(record: UsageRecord) -> dict[str, Any]:
    """All of a record, flat; the price in the currency, as text."""
    fields = asdict(record)
    fields |= fields.pop("usage")
    fields["price"] = f"{in_currency(fields.pop('price_nanos')):f}"
    return fields


def configure_logging(level: str, style: Literal["plain", "json"]) -> None:
    """Our own loggers at `level`, those of libraries from WARNING on, all to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else PlainFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("server").setLevel(level)
