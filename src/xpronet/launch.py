"""What this process may use: its place among those that work together, its CPU cores, and how work is divided on them.

Several threads of one process wait for each other by spinning, at each of the hundreds of small products of a step; a
thread that has lost its core to another program then keeps all others waiting. Processes of one thread each wait
asleep. Commands therefore work with one thread, or with processes of one thread each where these gain something, and
elsewhere let threads wait asleep.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

THREADS_VARIABLE = "OMP_NUM_THREADS"
"""The user's own word on threads, which PyTorch reads when it is imported."""
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""Let threads sleep while they wait: in GNU's OpenMP, and in LLVM's and Intel's."""
STUDIES_EACH = 2
"""Fewest studies of a batch that are worth a process of their own."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One process's place among those that work together."""

    rank: int = 0
    """Its number over all machines, from 0."""
    count: int = 1
    """Processes on all machines together."""
    local_rank: int = 0
    """Its number on its machine, from 0: the number of its GPU."""
    meeting: str = ""
    """The file in which processes that a command started on its machine meet; those of torchrun have a port instead."""

    def __str__(self) -> str:
        """Name the process as messages do."""
        return f"process {self.rank} of {self.count}"

    def environment(self) -> dict[str, str]:
        """Return the variables by which `read_launch` finds this place in a process that a command starts."""
        return {MEETING_VARIABLE: self.meeting, "RANK": str(self.rank), "WORLD_SIZE": str(self.count)}


MEETING_VARIABLE = "XPRONET_MEETING"


def read_launch() -> Launch:
    """Return this process's place; a process that neither torchrun nor a command of ours started is alone."""
    environment = os.environ
    if MEETING_VARIABLE in environment:
        rank = int(environment["RANK"])
        return Launch(
            rank=rank, count=int(environment["WORLD_SIZE"]), local_rank=rank, meeting=environment[MEETING_VARIABLE]
        )
    if "TORCHELASTIC_RUN_ID" not in environment:
        return Launch()
    return Launch(
        rank=int(environment["RANK"]),
        count=int(environment["WORLD_SIZE"]),
        local_rank=int(environment["LOCAL_RANK"]),
    )


def num_cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_threads_sleep() -> None:
    """Let PyTorch's threads wait asleep, unless the user has said how; to be called before PyTorch is imported."""
    if not any(name in os.environ for name in (*WAITING, "GOMP_SPINCOUNT")):
        os.environ.update(WAITING)


@contextmanager
def environment_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for what this process does meanwhile and for the processes that it starts; threads at once."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    if threads is not None and THREADS_VARIABLE in variables:
        sys.modules["torch"].set_num_threads(int(variables[THREADS_VARIABLE]))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if threads is not None and THREADS_VARIABLE in variables:
            sys.modules["torch"].set_num_threads(threads)


@dataclass(frozen=True, kw_only=True)
class Division:
    """How work is divided on the CPU cores of this machine."""

    processes: int
    """Processes that share each batch."""
    threads: int | None
    """Threads of each; None where the user has said how many."""


def divide(items: int, *, each: int = STUDIES_EACH, processes: int | None = None) -> Division:
    """Divide work among processes, as many as there are cores where there is enough for each.

    Args:
        items: studies to be divided: those of a batch, or of a whole split.
        each: fewest studies that are worth a process of their own.
        processes: as many as these, whatever else holds; by default a user who has set OMP_NUM_THREADS gets one.
    """
    threads_given = THREADS_VARIABLE in os.environ
    cores = num_cores()
    if processes is None:
        processes = 1 if threads_given else max(1, min(cores, items // each))
    if threads_given:
        return Division(processes=processes, threads=None)
    # What is too little to be divided is too little for several threads, too.
    return Division(processes=processes, threads=max(1, cores // processes) if processes > 1 else 1)
