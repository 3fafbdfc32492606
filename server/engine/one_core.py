"""One engine core for several API processes, each of which has a client of vLLM's for it.

vLLM's own way is bound to its command line. What is taken from it: how a core is launched, and that it answers each
request on the socket of the client that sent it.
"""

import time
from typing import Any, cast

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.utils import EngineZmqAddresses, launch_core_engines
from vllm.v1.executor.abstract import Executor

from server.errors import EngineFailed
from server.processes import LOOK, Seat


class OneCore:
    """The core of all seats. Made in every process; the first launches it, the others wait for that.

    Raises:
        EngineFailed: the first process has come to its end.
    """

    def __init__(self, config: VllmConfig, executor: type[Executor], seat: Seat) -> None:
        self._seat = seat
        self._manager: Any = None
        if seat.first:
            self._launch(config, executor)
        else:
            self._await()

    @property
    def client(self) -> dict[str, Any]:
        """For `AsyncLLM`: how this process reaches it."""
        seat = self._seat
        ways = {f"{way}put_address": _address(seat, seat.index, way) for way in ("in", "out")}
        return {"client_addresses": ways, "client_count": seat.count, "client_index": seat.index}

    def belong_to(self, llm: AsyncLLM) -> None:
        """Where it was launched, its client watches and closes it, as an only one would."""
        if self._manager is not None:
            client = cast(AsyncMPClient, llm.engine_core)
            client.resources.engine_manager = self._manager
            client.start_engine_core_monitor()

    def _launch(self, config: VllmConfig, executor: type[Executor]) -> None:
        everyone = range(self._seat.count)
        addresses = EngineZmqAddresses(
            inputs=[_address(self._seat, index, "in") for index in everyone],
            outputs=[_address(self._seat, index, "out") for index in everyone],
        )
        with launch_core_engines(config, executor, True, addresses) as launched:
            pass  # until it is up
        self._manager = launched.engine_manager
        self._seat.tally("launched").mine = 1

    def _await(self) -> None:
        while not self._seat.tally("launched").total:
            if self._seat.tally("lost").total:
                raise EngineFailed("The engine did not come up.")
            time.sleep(LOOK)


def count_processes(args: AsyncEngineArgs, seat: Seat) -> None:
    """vLLM divides between API processes what each takes of a GPU and of the machine."""
    args._api_process_count, args._api_process_rank = seat.count, seat.index


def _address(seat: Seat, index: int, way: str) -> str:
    return f"ipc://{seat.folder}/{index}.{way}"
