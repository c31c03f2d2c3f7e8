"""Dynamic batching: the studies of many requests share batches, which idle workers take from one queue."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from xpronet.serve.counters import Metrics
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Job, WorkerError

LOG = logging.getLogger("xpronet.serve")
RESTART_SECONDS = 1.0
"""Pause before a failed worker is restarted."""
MAX_WAITS = 10
"""How often a batch waits for more studies while more arrive."""


@runtime_checkable
class ReportWorker(Protocol):
    """What the batcher needs of a worker; every call may block."""

    def start(self) -> None:
        """Load the model; raise WorkerError where that fails."""
        ...

    def generate(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
        """Return the answer to each job; raise WorkerError where the worker has failed."""
        ...

    def stop(self) -> None:
        """Release the model."""
        ...


@dataclass(frozen=True)
class _QueuedJob:
    job: Job
    answer: asyncio.Future[bytes]


class Batcher:
    """The queue, and a task for each worker."""

    def __init__(self, workers: Sequence[ReportWorker], settings: ServeSettings, metrics: Metrics) -> None:
        """Keep the workers; `start` starts them.

        Args:
            workers: each computes one batch at a time.
            settings: size of a batch and how long it waits for more studies.
            metrics: where batches are counted.
        """
        self._workers = tuple(workers)
        self._settings = settings
        self._metrics = metrics
        self._queue: deque[_QueuedJob] = deque()
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(max_workers=len(self._workers), thread_name_prefix="worker")
        self.ready = 0
        """Workers whose model is loaded."""
        self.decoding = 0
        """Studies whose images are being decoded: they are about to join the queue."""

    @property
    def depth(self) -> int:
        """Studies in the queue."""
        return len(self._queue)

    def start(self) -> None:
        """Start all workers at once; jobs wait in the queue until one is ready."""
        self._tasks = [asyncio.create_task(self._run(worker)) for worker in self._workers]
        for task in self._tasks:
            task.add_done_callback(_log_failure)

    async def submit(self, job: Job) -> bytes:
        """Return the answer to a job; a cancelled job leaves the queue.

        Raises:
            WorkerError: the worker failed on the batch that held the job.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with self._arrived:
            self._queue.append(_QueuedJob(job, answer))
            self._arrived.notify()
        return await answer

    async def close(self) -> None:
        """Stop the workers; jobs that are still queued fail."""
        for task in self._tasks:
            task.cancel()
        # A worker in the middle of a batch is stopped too: its answers are no longer needed.
        stops = [asyncio.to_thread(worker.stop) for worker in self._workers]
        await asyncio.gather(*self._tasks, *stops, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        _fail(self._queue)

    async def _run(self, worker: ReportWorker) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._threads, worker.start)
            except WorkerError as error:
                LOG.error("a model process did not start: %s", error)
                await self._restart(worker)
                continue
            self.ready += 1
            try:
                while await self._compute_batch(worker):
                    pass
            finally:
                self.ready -= 1
            await self._restart(worker)

    async def _restart(self, worker: ReportWorker) -> None:
        self._metrics.worker_restarts.inc()
        await asyncio.to_thread(worker.stop)
        await asyncio.sleep(RESTART_SECONDS)

    async def _compute_batch(self, worker: ReportWorker) -> bool:
        """Compute the next batch; return whether the worker is still alive."""
        batch = await self._gather()
        started = time.monotonic()
        try:
            answers = await asyncio.get_running_loop().run_in_executor(
                self._threads, worker.generate, [queued.job for queued in batch], self._settings.answer_seconds
            )
            for queued, answer in zip(batch, answers, strict=True):
                if not queued.answer.done():
                    queued.answer.set_result(answer)
        except WorkerError as error:
            LOG.error("a batch of %d studies failed: %s", len(batch), error)
            return False
        finally:
            # Whatever went wrong, no request waits for an answer that will not come.
            _fail(batch)
        self._metrics.batch_studies.observe(len(batch))
        self._metrics.batch_seconds.observe(time.monotonic() - started)
        return True

    async def _gather(self) -> list[_QueuedJob]:
        """Wait for a study, then a little for more; return the first in the queue, at least one."""
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: bool(self._queue))
            await self._wait_for_more()
            batch: list[_QueuedJob] = []
            while self._queue and len(batch) < self._settings.batch:
                queued = self._queue.popleft()
                if not queued.answer.done():
                    batch.append(queued)
            if batch:
                return batch

    async def _wait_for_more(self) -> None:
        """Wait while more studies arrive, a fixed time at each step and a fixed number of steps.

        Clients that were answered together send their next requests together: without the wait, a worker would take
        the first of these alone.
        """
        for _ in range(MAX_WAITS):
            before = len(self._queue)
            if before >= self._settings.batch:
                return
            await asyncio.sleep(self._settings.gather_seconds)
            if len(self._queue) <= before and not self.decoding:
                return


def _fail(jobs: Iterable[_QueuedJob]) -> None:
    for queued in jobs:
        if not queued.answer.done():
            queued.answer.set_exception(WorkerError("the model failed on this batch"))


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log the traceback of a bug at once: the task's result is only asked for at the end."""
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.error("a worker's task has failed", exc_info=error)
