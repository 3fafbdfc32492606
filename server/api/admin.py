"""The operator's own routes: how accounts stand and what they have used. They need a key with the scope `admin`."""

import time
from dataclasses import asdict
from typing import Any, get_args

from fastapi import APIRouter, Request

from server.admission.callers import Caller
from server.admission.terms import Standing
from server.api.callers import caller_of
from server.errors import Detail, InvalidRequest
from server.lifecycle import Lifecycle
from server.protocol.responses import AccountList, AccountStanding, ErrorEnvelope, UsageGroup, UsageList
from server.settings import SettingsError
from server.telemetry.usage import By, parse_since

PARAMETERS = [
    {"name": "account", "in": "query", "schema": {"type": "string"}, "description": "Absent: all together."},
    {"name": "since", "in": "query", "schema": {"type": "string"}, "description": "24h, 7d, or a date in ISO 8601."},
    {"name": "by", "in": "query", "schema": {"enum": list(get_args(By))}, "description": "Absent: day."},
]


def admin_router(lifecycle: Lifecycle) -> APIRouter:
    router = APIRouter(prefix="/admin")
    refused: dict[int | str, dict[str, Any]] = {status: {"model": ErrorEnvelope} for status in (401, 403)}
    more: dict[int | str, dict[str, Any]] = {status: {"model": ErrorEnvelope} for status in (400, 404, 503)}

    @router.get("/accounts", response_model=AccountList, responses=refused)
    async def accounts(request: Request) -> AccountList:
        """Every account with a key, and how it stands at this moment."""
        caller_of(request, lifecycle).require("admin")
        standings = await lifecycle.gate.standings()
        return AccountList(object="list", data=[_account(caller, standing) for caller, standing in standings])

    @router.get(
        "/usage", response_model=UsageList, responses={**refused, **more}, openapi_extra={"parameters": PARAMETERS}
    )
    async def usage(request: Request) -> UsageList:
        """What was used, from the ledger: the same as `electron-server usage` prints."""
        caller_of(request, lifecycle).require("admin")
        asked = request.query_params
        rows = await lifecycle.desk.usage(_by(asked.get("by")), asked.get("account"), _since(asked.get("since")))
        groups = [UsageGroup(**{**asdict(row), "price": f"{row.price:f}"}) for row in rows]
        return UsageList(object="list", data=groups)

    return router


def _account(caller: Caller, standing: Standing) -> AccountStanding:
    terms = caller.terms
    return AccountStanding(
        account=caller.account,
        plan=caller.plan,
        requests_per_minute=terms.requests_per_minute,
        requests=None if terms.requests_per_minute is None else standing.requests,
        concurrency=terms.concurrency,
        running=None if terms.concurrency is None else standing.running,
    )


def _by(asked: str | None) -> By:
    for known in get_args(By):
        if asked in (None, known):
            found: By = known
            return found
    message = f"expected one of {', '.join(get_args(By))}"
    raise InvalidRequest.of([Detail("invalid_enum_value", message, ("by",))])


def _since(asked: str | None) -> float | None:
    try:
        return parse_since(asked, time.time()) if asked else None
    except SettingsError as error:
        raise InvalidRequest.of([Detail("custom", str(error), ("since",))]) from None
