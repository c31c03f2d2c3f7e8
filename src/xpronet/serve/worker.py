"""A model in a process of its own: studies go in, reports come out as JSON.

The process has its own interpreter lock, so that decoding, multipart and HTTP in the server's process never hold up
the many small steps of the search.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xpronet.images.transforms import Square
from xpronet.model.search_settings import BeamSettings

if TYPE_CHECKING:
    from xpronet.generation.generator import ReportGenerator

START_SECONDS = 300.0
"""Longest time in which a worker must have read its model."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker needs to know."""

    run: Path
    """Run or checkpoint folder."""
    model: str
    """The checkpoint's fingerprint, which every answer names."""
    labels_from: Literal["predicted", "all"]
    search: BeamSettings
    """How the report is searched for."""
    threads: int
    """Cores this worker computes on, where it has no GPU."""
    number: int = 0
    """Which worker it is: chooses its GPU."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One study to write about."""

    views: tuple[Square, ...]
    """What the network sees, at least one."""
    names: tuple[str, ...]
    """What the answer calls each view."""


class WorkerError(RuntimeError):
    """The worker's process ended or did not answer in time; it must be started anew."""


class Worker:
    """The server's end of one model process."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Keep the settings; `start` makes the process."""
        self.settings = settings
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the process and wait until its model is ready.

        Raises:
            WorkerError: it ended, or took too long.
        """
        # A fresh interpreter: a forked one would inherit the server's sockets, threads and locks.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, self.settings), daemon=True, name="xpronet model")
        self._process.start()
        theirs.close()
        self._receive(START_SECONDS)

    def write(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
        """Return the answer to each job, as `xpronet report --json` would write it.

        Raises:
            WorkerError: the process ended, or took longer than `seconds`.
        """
        if self._connection is None:
            raise WorkerError("the model's process is not running")
        try:
            self._connection.send(list(jobs))
        except OSError as error:
            raise WorkerError("the model's process has ended") from error
        return self._receive(seconds)

    def stop(self) -> None:
        """End the process, gently if it listens."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.join(1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None

    def _receive(self, seconds: float) -> list[bytes]:
        assert self._connection is not None
        try:
            if not self._connection.poll(seconds):
                raise WorkerError(f"the model did not answer within {seconds:g} seconds")
            answers: list[bytes] = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerError("the model's process has ended") from error
        return answers


def _main(connection: Connection, settings: WorkerSettings) -> None:
    """Write about whatever comes, until the server's end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the server tells us when to end
    import torch

    from xpronet.generation.generator import ReportGenerator
    from xpronet.model.checkpoint import load_checkpoint

    if torch.cuda.is_available():
        device = torch.device("cuda", settings.number % torch.cuda.device_count())
    else:
        device = torch.device("cpu")
        torch.set_num_threads(settings.threads)
    checkpoint = load_checkpoint(settings.run)
    writer = ReportGenerator(
        checkpoint,
        device=device,
        settings=settings.search,
        labels_from=settings.labels_from,
    )
    connection.send([])
    while True:
        try:
            jobs: list[Job] = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(write_answers(writer, jobs, model=settings.model))


def write_answers(writer: "ReportGenerator", jobs: Sequence[Job], *, model: str) -> list[bytes]:
    """Write about several studies at once; each answer is the JSON that its study alone would give.

    Args:
        writer: the model.
        jobs: studies with one view or several each.
        model: the checkpoint's fingerprint.
    """
    from xpronet.generation.generator import pad_views

    ids = [os.path.splitext(job.names[0])[0] for job in jobs]
    reports = writer.generate(ids, *pad_views(job.views for job in jobs), with_evidence=True)
    answers = []
    for job, report in zip(jobs, reports, strict=True):
        # Views that only fill the batch up come after the study's own.
        words = tuple(replace(word, attention=word.attention[: len(job.views)]) for word in report.words)
        answer = replace(report, words=words, view_names=tuple(job.names)).answer(model=model)
        answers.append(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())
    return answers
