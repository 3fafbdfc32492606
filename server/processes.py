"""Several API processes over one engine: what each of them knows of the others, and what they rule out."""

import multiprocessing
import time
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal, cast, get_args

from server.settings import Settings, SettingsError

LOOK = 0.05  # seconds between two looks at the other processes
PROCESS = "electron-api"  # begins the names of those that the first one starts

Name = Literal[
    "in_flight",  # these two: what admission bounds
    "queued_tokens",
    "body_bytes",
    "connections",
    "steps",  # these two: see `EngineStats`
    "unfinished",
    "looks",  # at the engine
    "launched",  # 1 once the engine is up...
    "ready",  # ...once the model answers here...
    "lost",  # ...once one process has found the engine, or another process, dead...
    "done",  # ...and once the last call has ended here
]
NOT_LISTENING = 2**31  # connections; nobody has more


class Tally:
    """A sum of which each process has its part: that process alone writes it, all read it, without a lock."""

    def __init__(self, parts: MutableSequence[int] | None = None, index: int = 0) -> None:
        self._parts = [0] if parts is None else parts
        self._index = index

    @property
    def mine(self) -> int:
        return self._parts[self._index]

    @mine.setter
    def mine(self, value: int) -> None:
        self._parts[self._index] = value

    @property
    def total(self) -> int:
        return sum(self._parts)

    @property
    def least(self) -> int:
        """The smallest part."""
        return min(self._parts)


@dataclass(frozen=True, slots=True)
class Seat:
    """One process's place among `count`. The first, with index 0, starts the others and the engine, and ends them.

    born: seconds since the epoch, the same for all. folder: of the sockets between them.
    """

    index: int
    count: int
    born: int
    folder: Path
    parts: Mapping[Name, MutableSequence[int]]

    def tally(self, name: Name) -> Tally:
        return Tally(self.parts[name], self.index)

    @property
    def first(self) -> bool:
        return self.index == 0

    @property
    def shared(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    @property
    def others(self) -> list["Seat"]:
        """What they have is theirs to write."""
        return [replace(self, index=index) for index in range(self.count) if index != self.index]

    @property
    def all_ready(self) -> bool:
        return self.tally("ready").total == self.count


def alone() -> Seat:
    """Of the only process."""
    return Seat(0, 1, int(time.time()), Path(), {name: [0] for name in get_args(Name)})


def seats(count: int, folder: Path) -> list[Seat]:
    """For so many processes: the first keeps its own and hands the others on as it starts them."""
    context = multiprocessing.get_context("spawn")
    parts = {name: cast(MutableSequence[int], context.RawArray("q", count)) for name in get_args(Name)}
    born = int(time.time())
    for index in range(count):
        parts["connections"][index] = NOT_LISTENING
    return [Seat(index, count, born, folder, parts) for index in range(count)]


def engine_processes() -> list[BaseProcess]:
    """Those that vLLM has started from this process."""
    return [child for child in multiprocessing.active_children() if not child.name.startswith(PROCESS)]


def describe_processes(settings: Settings) -> str:
    """One line for whoever starts several."""
    count = settings.http.processes
    return f"{count} processes speak HTTP, over one engine: they become ready, and end, together with it"


def check_processes(settings: Settings) -> None:
    """
    Raises:
        SettingsError: naming every setting that several processes cannot have.
    """
    count = settings.http.processes
    if count > 1 and (faults := _faults(settings)):
        raise SettingsError("\n".join(f"`http.processes: {count}` {fault}" for fault in faults))


def _faults(settings: Settings) -> list[str]:
    admission, engine = settings.admission, settings.engine
    local = admission.plans.get("local")
    limited = admission.keys_file is not None or (local is not None and local.limited)
    names = [name for name in ("enable_fault_tolerance", "enable_elastic_ep") if engine.get(name)]
    names += [name for name in ("data_parallel_size",) if engine.get(name, 1) != 1]
    faults = [f"excludes `engine.{name}`" for name in names]
    if limited and admission.redis.url is None:
        faults.append(
            "needs `admission.redis.url`: else each has limits of its own, and an account as many times its plan"
        )
    if settings.lifecycle.restarts:
        faults.append("excludes `lifecycle.restarts`: they end with their engine, and have to be started again")
    if settings.kernels.shared_prefix_gate:
        faults.append("excludes `kernels.shared_prefix_gate`")
    return faults
