"""How the studies of many requests share batches, and what happens to them when a worker fails."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from xpronet.serve.batcher import Batcher
from xpronet.serve.counters import Metrics
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Job, WorkerError


def job(name: str) -> Job:
    return Job(views=(np.zeros((2, 2), np.uint8),), names=(name,))


class Echo:
    """Answers each job with its name, once `may_write` is set."""

    def __init__(self, lose: int = 0) -> None:
        self.lose = lose
        self.starts = 0
        self.batches: list[list[str]] = []
        self.may_write = threading.Event()
        self.may_write.set()

    def start(self) -> None:
        self.starts += 1

    def generate(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
        self.batches.append([each.names[0] for each in jobs])
        assert self.may_write.wait(60)
        if self.lose:
            self.lose -= 1
            raise WorkerError("lost")
        return [each.names[0].encode() for each in jobs]

    def stop(self) -> None:
        self.may_write.set()


async def opened(*workers: Echo, batch: int = 4) -> Batcher:
    batcher = Batcher(workers, ServeSettings(batch=batch, gather_seconds=0.01), Metrics())
    batcher.start()
    return batcher


def test_concurrent_jobs_share_batches_in_order():
    async def run() -> list[bytes]:
        batcher = await opened(worker)
        names = [str(number) for number in range(10)]
        answers = await asyncio.gather(*(batcher.submit(job(name)) for name in names))
        await batcher.close()
        return answers

    worker = Echo()
    assert asyncio.run(run()) == [str(number).encode() for number in range(10)]
    assert worker.batches == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


def test_a_batch_waits_while_others_are_decoded_but_not_for_ever():
    async def run() -> None:
        async def decoded() -> bytes:
            batcher.decoding = 0
            return await batcher.submit(job("second"))

        batcher = await opened(worker, batch=8)
        first = asyncio.create_task(batcher.submit(job("first")))
        batcher.decoding = 1
        await asyncio.sleep(0.03)  # three times what a batch waits where no image is being decoded
        assert not worker.batches
        await asyncio.gather(first, decoded())
        batcher.decoding = 1
        await asyncio.wait_for(batcher.submit(job("third")), 5)
        await batcher.close()

    worker = Echo()
    asyncio.run(run())
    assert worker.batches == [["first", "second"], ["third"]]


def test_a_failed_worker_is_restarted_and_its_batch_fails():
    async def run() -> bytes:
        batcher = await opened(worker)
        with pytest.raises(WorkerError):
            await batcher.submit(job("first"))
        answer = await batcher.submit(job("second"))
        assert batcher.ready == 1
        await batcher.close()
        return answer

    worker = Echo(lose=1)
    assert asyncio.run(run()) == b"second"
    assert worker.starts == 2


def test_cancelled_jobs_are_skipped():
    async def run() -> None:
        worker.may_write.clear()
        batcher = await opened(worker)
        first = asyncio.create_task(batcher.submit(job("first")))
        while not worker.batches:
            await asyncio.sleep(0.01)
        gone = asyncio.create_task(batcher.submit(job("gone")))
        last = asyncio.create_task(batcher.submit(job("last")))
        await asyncio.sleep(0.05)
        assert batcher.depth == 2
        gone.cancel()
        await asyncio.sleep(0.01)
        worker.may_write.set()
        assert await asyncio.gather(first, last) == [b"first", b"last"]
        await batcher.close()

    worker = Echo()
    asyncio.run(run())
    assert worker.batches == [["first"], ["last"]]


def test_closing_fails_all_waiting_jobs():
    async def run() -> list[object]:
        worker.may_write.clear()
        batcher = await opened(worker, batch=1)
        waiting = [asyncio.create_task(batcher.submit(job(str(number)))) for number in range(3)]
        while not worker.batches:
            await asyncio.sleep(0.01)
        await batcher.close()
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    worker = Echo()
    assert all(isinstance(answer, WorkerError) for answer in asyncio.run(run()))
