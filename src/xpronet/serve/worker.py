"""A model in a process of its own: studies go in, reports come out as JSON.

The process has its own interpreter lock, so that decoding, multipart and HTTP in the server's process never slow down
the many small steps of the beam search.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xpronet.images.transforms import Square
from xpronet.model.search_settings import BeamSettings

if TYPE_CHECKING:
    from xpronet.generation.generator import ReportGenerator

START_SECONDS = 300.0
"""Longest time that loading the model may take."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker computes with."""

    run: Path
    """Run or checkpoint folder."""
    model: str
    """The checkpoint's fingerprint, which every answer holds."""
    labels_from: Literal["predicted", "all"]
    search: BeamSettings
    """How reports are searched for."""
    threads: int
    """CPU threads, where there is no GPU."""
    allow_code: bool = False
    """Whether the checkpoint may name Python objects of installed packages."""
    number: int = 0
    """Number of the worker, from 0; chooses its GPU."""
    origin: Mapping[str, Any] | None = None
    """What the model learned from and what it is worth, as JSON values, for every answer."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One study to generate a report about."""

    views: tuple[Square, ...]
    """What the network sees, at least one."""
    names: tuple[str, ...]
    """What the answer calls each view."""
    warnings: tuple[str, ...] = ()
    """What the images' headers leave open about patient and study, for the answer."""


class WorkerError(RuntimeError):
    """The worker's process ended or did not answer in time; it must be restarted."""


class Worker:
    """The server's end of one model process."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Keep the settings; `start` starts the process."""
        self.settings = settings
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the process and wait until its model is loaded.

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

    def generate(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
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
        """End the process, by a kill if it does not end by itself."""
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
    """Answer jobs until the server closes its end of the connection."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole process group; the server closes the connection
    import torch

    from xpronet.device import best_device
    from xpronet.generation.generator import ReportGenerator
    from xpronet.model.checkpoint import load_checkpoint

    device = best_device()
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", settings.number % torch.cuda.device_count())
    elif device.type == "cpu":
        torch.set_num_threads(settings.threads)
    checkpoint = load_checkpoint(settings.run, allow_code=settings.allow_code)
    generator = ReportGenerator(
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
        connection.send(generate_answers(generator, jobs, model=settings.model, origin=settings.origin))


def generate_answers(
    generator: "ReportGenerator", jobs: Sequence[Job], *, model: str, origin: Mapping[str, Any] | None = None
) -> list[bytes]:
    """Return the answer to each job as JSON, computed as one batch.

    Args:
        generator: the model.
        jobs: studies of one view or more.
        model: the checkpoint's fingerprint.
        origin: what the model learned from and what it is worth, as JSON values.
    """
    from xpronet.generation.generator import pad_views
    from xpronet.generation.view_warnings import view_warnings

    ids = [os.path.splitext(job.names[0])[0] for job in jobs]
    reports = generator.generate(ids, *pad_views(job.views for job in jobs), with_evidence=True)
    answers = []
    for job, report in zip(jobs, reports, strict=True):
        # Views that pad the study to the batch's size come after its own.
        words = tuple(replace(word, attention=word.attention[: len(job.views)]) for word in report.words)
        warnings = (*job.warnings, *view_warnings(generator.checkpoint, job.views, job.names))
        answer = replace(report, words=words, view_names=job.names, study_warnings=warnings).answer(
            model=model, origin=origin
        )
        answers.append(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())
    return answers
