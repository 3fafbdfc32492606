"""A real Prometheus on both servers: after a load there is something to see in every panel and behind every alert."""

import asyncio
from pathlib import Path

import httpx
import openai

from tests.accounts.callers import HELLO, ask, calling
from tests.accounts.fleet import Fleet
from tests.conftest import free_port
from tests.telemetry.expressions import panel_expressions, rule_expressions, without_threshold
from tests.telemetry.prometheus import Prometheus

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"room": {"enum": ["sea", "garden"]}}, "required": ["room"]},
    },
}
# Each has something to count after a load; parse failures and lag are there and, with luck, at zero.
COUNTED = (
    "requests_total",
    "time_to_first_token_seconds_count",
    "inter_token_latency_seconds_count",
    "time_to_first_clause_seconds_count",
    "time_to_tool_name_seconds_count",
    "output_tokens_per_second_count",
    "request_duration_seconds_count",
    "prompt_tokens_total",
    "cached_tokens_total",
    "generated_tokens_total",
    "delivered_tokens_total",
    "cache_hit_ratio_count",
    "tool_turns_total",
    "tool_calls_total",
    "structured_output_failures_total",
    "disconnects_total",
    "limit_decisions_total",
    "refusals_total",
    "ledger_rows_total",
    "event_loop_lag_seconds_count",
    "build_info",
)
AT_ZERO = ("parse_failures_total", "ledger_lag_seconds")
SCHEMA = {"type": "json_schema", "json_schema": {"name": "m", "schema": {"type": "array", "items": {"type": "string"}}}}


def wanted() -> dict[str, str]:
    parts = {
        f"{name} {i}": part
        for name, expression in rule_expressions().items()
        for i, part in enumerate(without_threshold(expression))
    }
    return {**panel_expressions(), **parts}


async def load(fleet: Fleet) -> None:
    """A little of everything: speech, a tool, an answer cut short, a caller who leaves, one who may not come in."""
    await asyncio.gather(*(talk(fleet, f"guest-{i}") for i in range(3)))
    async with calling(fleet.a, "sk_nobody") as client:
        await asyncio.gather(ask(client), return_exceptions=True)


async def talk(fleet: Fleet, account: str) -> None:
    async with calling(fleet.a, fleet.account(account)) as client:
        await ask(client, max_tokens=20)
        await ask(client, max_tokens=60, tools=[TOOL], tool_choice="required")
        await ask(client, max_tokens=3, response_format=SCHEMA)
        try:
            async with asyncio.timeout(0.2):
                await ask(client, max_tokens=5000, extra_body={"ignore_eos": True})
        except TimeoutError:
            pass
        refused = 0
        while not refused:
            try:
                await ask(client, tools=[TOOL])  # a prompt that was there before
            except openai.RateLimitError:
                refused += 1


async def test_every_expression_has_data(fleet: Fleet, tmp_path: Path) -> None:
    with Prometheus(tmp_path, free_port(), f"127.0.0.1:{fleet.a.port}") as prometheus:
        assert await asyncio.to_thread(prometheus.wait_for, {"up": "up == 1"}) == {}
        await load(fleet)
        assert await asyncio.to_thread(prometheus.wait_for, wanted()) == {}
        assert not [name for name in COUNTED if not fleet.a.series(f"electron_{name}")]
        assert not await asyncio.to_thread(prometheus.wait_for, {name: f"electron_{name}" for name in AT_ZERO})
        kinds = {name: entries[0]["type"] for name, entries in prometheus.metadata().items()}
    assert kinds["electron_time_to_first_token_seconds"] == kinds["vllm:time_to_first_token_seconds"] == "histogram"


async def test_the_page_is_whole_while_the_server_works(fleet: Fleet) -> None:
    """Inference gateways ask every 50 ms. What they get is complete, and the calls go on."""
    async with calling(fleet.a, fleet.account("busy", "line")) as client, httpx.AsyncClient() as gateway:
        answer = asyncio.create_task(ask(client, max_tokens=400, messages=HELLO, extra_body={"ignore_eos": True}))
        while not answer.done():
            page = (await gateway.get(f"{fleet.a.root}/metrics", timeout=60)).text
            assert "\nelectron_build_info{" in page and "\nvllm:num_requests_running{" in page
    assert (await answer).usage.completion_tokens == 400
