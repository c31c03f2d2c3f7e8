"""What this process may use: its rank among those of torchrun (read without torch), and its CPU cores."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One process's place among those that torchrun started."""

    rank: int = 0
    """Its number over all machines, from 0."""
    count: int = 1
    """Processes on all machines together."""
    local_rank: int = 0
    """Its number on its machine, from 0: the number of its GPU."""

    def __str__(self) -> str:
        """Name the process as messages do."""
        return f"process {self.rank} of {self.count}"


def read_launch() -> Launch:
    """Return this process's place; a process that torchrun did not start is alone."""
    environment = os.environ
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
