"""Usage as text."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Literal

import orjson

from server.telemetry.usage import By, UsageRow

Form = Literal["table", "csv", "json"]


def usage_report(rows: Sequence[UsageRow], by: By, form: Form) -> str:
    """The table has a last line with the sums; CSV and JSON are left to be summed by whoever reads them."""
    forms: dict[Form, Callable[[Sequence[UsageRow], By], str]] = {"table": _table, "csv": _csv, "json": _json}
    return forms[form](rows, by)


def _names(by: By) -> list[str]:
    return [by, *(field.name for field in fields(UsageRow)[1:])]


def _values(row: UsageRow) -> list[str | int]:
    return [
        row.group, row.requests, row.prompt_tokens, row.cached_tokens, row.generated_tokens, row.delivered_tokens,
        f"{row.price:f}",
    ]  # fmt: skip


def _table(rows: Sequence[UsageRow], by: By) -> str:
    table: list[Sequence[str | int]] = [_names(by), *map(_values, rows), _values(_total(rows))]
    lines = [[str(cell) for cell in cells] for cells in table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    head = cells[0].ljust(widths[0])
    figures = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((head, *figures)) + "\n"


def _total(rows: Sequence[UsageRow]) -> UsageRow:
    return UsageRow(
        "total",
        sum(row.requests for row in rows),
        sum(row.prompt_tokens for row in rows),
        sum(row.cached_tokens for row in rows),
        sum(row.generated_tokens for row in rows),
        sum(row.delivered_tokens for row in rows),
        sum((row.price for row in rows), Decimal(0)),
    )


def _csv(rows: Sequence[UsageRow], by: By) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_names(by))
    writer.writerows(map(_values, rows))
    return text.getvalue()


def _json(rows: Sequence[UsageRow], by: By) -> str:
    found = [dict(zip(_names(by), _values(row), strict=True)) for row in rows]
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"
