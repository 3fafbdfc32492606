"""Both replicas behind one address: Envoy, set up as a gateway does it for the chart's HTTPRoute."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import openai
import pytest

from benchmarks.scale_out.envoy import Envoy
from tests.accounts.callers import HELLO, ask, calling, remaining, talking
from tests.accounts.fleet import Fleet, until
from tests.lifecycle.processes import until as eventually

PIECES = 2_000  # of an answer: fewer bytes than Envoy would hold back if it held anything back


@pytest.fixture(scope="module")
async def envoy(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Envoy]:
    envoy = Envoy(tmp_path_factory.mktemp("envoy"), [replica.port for replica in fleet.both])
    try:
        await eventually(envoy.sees_all)
        yield envoy
    finally:
        envoy.stop()


def in_flight(fleet: Fleet) -> list[float]:
    """What each replica has at work for accounts on the plan of these tests."""
    return [replica.series("electron_requests_in_flight", plan="line") for replica in fleet.both]


async def test_ten_of_eleven_in_a_minute_half_of_them_by_each(fleet: Fleet, envoy: Envoy) -> None:
    async with calling(envoy, fleet.account("envoy-minute")) as client:
        assert [await remaining(client) for _ in range(10)] == [*reversed(range(10))]
        with pytest.raises(openai.RateLimitError, match="10 requests per minute") as refused:
            await ask(client)
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert refused.value.response.json()["error"]["type"] == "rate_limit_error"
    served = [replica.series("electron_requests_total", account="envoy-minute") for replica in fleet.both]
    assert served == [5, 5]


async def test_lines_are_held_by_both_and_hung_up_through_it(fleet: Fleet, envoy: Envoy) -> None:
    async with calling(envoy, fleet.account("envoy-line", "line")) as client, AsyncExitStack() as lines:
        held = [await lines.enter_async_context(talking(client)) for _ in range(3)]
        assert sorted(in_flight(fleet)) == [1, 2]
        with pytest.raises(openai.RateLimitError, match="Concurrency limit reached"):
            await ask(client)
        for stream in held:
            await stream.close()
        until(lambda: not any(in_flight(fleet)))
        await ask(client)


async def test_a_token_is_not_held_back(fleet: Fleet, envoy: Envoy) -> None:
    """The first one is heard while the server is still at work on the others."""
    async with calling(envoy, fleet.account("envoy-stream", "line")) as client:
        stream = await client.chat.completions.create(
            model="electron", messages=HELLO, max_tokens=PIECES, stream=True, extra_body={"ignore_eos": True}
        )
        await anext(aiter(stream))
        assert sum(in_flight(fleet)) == 1
        await stream.close()
    until(lambda: not any(in_flight(fleet)))
