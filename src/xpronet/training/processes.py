"""Processes that a command starts beside its own, to share its work on the CPU cores of this machine."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from xpronet.device import best_device
from xpronet.errors import ProcessLostError
from xpronet.launch import THREADS_VARIABLE, Division, Launch, read_launch
from xpronet.training.distributed import DistributedContext, start_distributed

SECONDS_TO_END = 30.0
"""How long the others may take to end once this process's work is done."""


@contextmanager
def work_together(arguments: Callable[[Path], Sequence[str]], division: Division) -> Iterator[DistributedContext]:
    """Start the other processes of a division, as `xpronet` commands, and work as the main one of them.

    Where torchrun has started several processes, this one is what torchrun says. On a GPU this process works alone.

    Args:
        arguments: returns the command line of the others; it may leave files for them in the folder that it is given,
            which is removed at the end.
        division: how many processes, and their threads.

    Raises:
        ProcessLostError: another process has ended.
    """
    alone = division.processes == 1 or best_device().type != "cpu"
    if alone or read_launch().count > 1:
        with _threads(division.threads if alone and read_launch().count == 1 else None), start_distributed() as context:
            yield context
        return
    with tempfile.TemporaryDirectory(prefix="xpronet-", ignore_cleanup_errors=True) as name, _threads(division.threads):
        meeting = str(Path(name) / "meeting")
        places = [
            Launch(rank=rank, local_rank=rank, count=division.processes, meeting=meeting)
            for rank in range(division.processes)
        ]
        command = [sys.executable, "-m", "xpronet", *arguments(Path(name))]
        threads = {} if division.threads is None else {THREADS_VARIABLE: str(division.threads)}
        others = [
            subprocess.Popen(command, env={**os.environ, **threads, **place.environment()}, stdin=subprocess.DEVNULL)
            for place in places[1:]
        ]
        try:
            with start_distributed(places[0]) as context:
                yield context
            _wait(others)
        except ProcessLostError as lost:
            if not str(lost):
                # Another met a mistake and tells of it.
                _wait(others)
            raise
        finally:
            # Whatever this process ended for, it has told; the others have nothing to add.
            for other in others:
                other.kill()
                other.wait()


def _wait(others: Sequence[subprocess.Popen[bytes]]) -> None:
    for other in others:
        with suppress(subprocess.TimeoutExpired):
            other.wait(SECONDS_TO_END)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with a number of threads, or with what was set before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
