"""One JSON line for each finished request; no prompt and no key in any."""

import logging
import sys

import orjson
import pytest

from server.records import UsageRecord
from server.telemetry.logs import JsonFormatter, PlainFormatter, record_fields
from server.telemetry.requests import log_record
from tests.telemetry.helpers import MakeRecord


def logged(caplog: pytest.LogCaptureFixture, record: UsageRecord) -> logging.LogRecord:
    with caplog.at_level(logging.INFO, "server.requests"):
        log_record(record)
    return caplog.records[-1]


def test_the_line_has_every_field_of_the_record(caplog: pytest.LogCaptureFixture, make_record: MakeRecord) -> None:
    record = make_record("id", tool_calls=1, filler="model", price_nanos=8_000)
    text = JsonFormatter().format(logged(caplog, record))
    line = orjson.loads(text)
    assert "\n" not in text
    assert record_fields(record).items() <= line.items()
    assert (line["request_id"], line["price"], line["completion_tokens"]) == ("id", "0.000008000", 3)
    fields = set(UsageRecord.__dataclass_fields__) - {"usage", "price_nanos"}
    assert fields | {"price", "prompt_tokens", "cached_tokens", "completion_tokens"} <= set(line)
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "server.requests", "request finished")


def test_the_plain_line_stays(caplog: pytest.LogCaptureFixture, make_record: MakeRecord) -> None:
    line = PlainFormatter().format(logged(caplog, make_record("id")))
    assert line.endswith("INFO server.requests: id model=electron cause=stop prompt=20 cached=16 completion=3 "
                         "ttft=100ms duration=1000ms")  # fmt: skip


SECRETS = ["sk_live_0123456789abcdef", "sk-proj-abc.def_123", "Bearer eyJhbGciOi.J9-x_y=="]


@pytest.mark.parametrize("formatter", [JsonFormatter(), PlainFormatter()])
@pytest.mark.parametrize("secret", SECRETS)
def test_keys_are_cut_out_of_messages_and_exceptions(formatter: logging.Formatter, secret: str) -> None:
    try:
        raise ValueError(f"bad header: {secret}")
    except ValueError:
        entry = logging.LogRecord("x", logging.ERROR, "x.py", 1, "got %s", (secret,), sys.exc_info())
    text = formatter.format(entry)
    assert secret.split()[-1] not in text
    assert secret[6:] not in text
    assert "ValueError" in text


def test_other_lines_are_joined_by_the_id() -> None:
    entry = logging.LogRecord("server.api", logging.ERROR, "x.py", 1, "failed", (), None)
    entry.request_id = "id"
    assert orjson.loads(JsonFormatter().format(entry))["request_id"] == "id"


def test_other_words_stay() -> None:
    entry = logging.LogRecord("x", logging.INFO, "x.py", 1, "task_id=7 risk-free ask_me disk-full", (), None)
    assert orjson.loads(JsonFormatter().format(entry))["message"] == "task_id=7 risk-free ask_me disk-full"
