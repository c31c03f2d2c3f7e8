"""Put the studies of many requests together in batches, and hand these to the model's workers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from xpronet.serve.metrics import Metrics
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Job, WorkerError

LOG = logging.getLogger("xpronet.serve")
RESTART_SECONDS = 1.0
"""Pause before a worker that would not start is started again."""
MOST_GATHERS = 10
"""How often a batch is held open once more while others come."""


@runtime_checkable
class WritesReports(Protocol):
    """What the batcher needs of a worker; every call may block."""

    def start(self) -> None:
        """Make ready; raise WorkerError where that fails."""
        ...

    def write(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
        """Answer each job; raise WorkerError where the worker is lost."""
        ...

    def stop(self) -> None:
        """End."""
        ...


@dataclass(frozen=True)
class _Waiting:
    job: Job
    answer: asyncio.Future[bytes]


class Batcher:
    """A queue that every idle worker takes its next batch from."""

    def __init__(self, workers: Sequence[WritesReports], settings: ServeSettings, metrics: Metrics) -> None:
        """Keep the workers; `start` starts them.

        Args:
            workers: each writes one batch at a time.
            settings: size of a batch and how long it gathers.
            metrics: where batches are counted.
        """
        self._workers = tuple(workers)
        self._settings = settings
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(max_workers=len(self._workers), thread_name_prefix="worker")
        self.ready = 0
        self.coming = 0
        """Studies whose images are being decoded: they will be here in a moment."""

    @property
    def depth(self) -> int:
        """Studies that wait for a worker."""
        return len(self._waiting)

    def start(self) -> None:
        """Start all workers side by side; what comes before one is ready waits."""
        self._tasks = [asyncio.create_task(self._run(worker)) for worker in self._workers]
        for task in self._tasks:
            task.add_done_callback(_tell_failure)

    async def write(self, job: Job) -> bytes:
        """Return the answer to a study; whoever is cancelled while it waits gives up its place.

        Raises:
            WorkerError: the worker was lost over the batch it was in.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with self._arrived:
            self._waiting.append(_Waiting(job, answer))
            self._arrived.notify()
        return await answer

    async def close(self) -> None:
        """Stop the workers; whoever still waits is told so."""
        for task in self._tasks:
            task.cancel()
        # A worker in the middle of a batch loses its process: nobody waits for that answer any more.
        stops = [asyncio.to_thread(worker.stop) for worker in self._workers]
        await asyncio.gather(*self._tasks, *stops, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        _give_up(self._waiting)

    async def _run(self, worker: WritesReports) -> None:
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
                while await self._write_batch(worker):
                    pass
            finally:
                self.ready -= 1
            await self._restart(worker)

    async def _restart(self, worker: WritesReports) -> None:
        self._metrics.worker_restarts += 1
        await asyncio.to_thread(worker.stop)
        await asyncio.sleep(RESTART_SECONDS)

    async def _write_batch(self, worker: WritesReports) -> bool:
        """Write about the next batch; return whether the worker is still there."""
        batch = await self._gather()
        started = time.monotonic()
        try:
            answers = await asyncio.get_running_loop().run_in_executor(
                self._threads, worker.write, [waiting.job for waiting in batch], self._settings.answer_seconds
            )
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        except WorkerError as error:
            LOG.error("a batch of %d studies was lost: %s", len(batch), error)
            return False
        finally:
            # Whatever went wrong, nobody waits for an answer that will not come.
            _give_up(batch)
        self._metrics.batch_studies.observe(float(len(batch)))
        self._metrics.batch_seconds.observe(time.monotonic() - started)
        return True

    async def _gather(self) -> list[_Waiting]:
        """Wait for a study, then a little for others; return the longest waiting ones, at least one."""
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: bool(self._waiting))
            await self._hold_open()
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < self._settings.batch:
                waiting = self._waiting.popleft()
                if not waiting.answer.done():
                    batch.append(waiting)
            if batch:
                return batch

    async def _hold_open(self) -> None:
        """Wait as long as others come, each time a little and in all no more than a little.

        Whoever got an answer together is back together: without this they would meet a worker that has just gone off
        with the first of them.
        """
        for _ in range(MOST_GATHERS):
            before = len(self._waiting)
            if before >= self._settings.batch:
                return
            await asyncio.sleep(self._settings.gather_seconds)
            if len(self._waiting) <= before and not self.coming:
                return


def _give_up(lost: Iterable[_Waiting]) -> None:
    for waiting in lost:
        if not waiting.answer.done():
            waiting.answer.set_exception(WorkerError("the model was lost over this batch"))


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Show the traceback of a mistake of ours at once: the task's owner waits for it only at the end."""
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.error("a model's task has ended", exc_info=error)
