"""Epochs of batches, read in this process or by worker processes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from xpronet.data.dataset import WHOLE, Batch, BatchItems, BatchSettings, Shard, StudyDataset, collate_studies
from xpronet.errors import InputError, WorkError


class _ShardOfBatches(Dataset[BatchItems]):
    """The studies of one shard of each batch; of the others only the sizes that padding depends on."""

    def __init__(self, dataset: StudyDataset, shard: Shard) -> None:
        self._dataset = dataset
        self._shard = shard

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> BatchItems:
        return self._dataset.shard_of_batch(keys, self._shard)


class StudySampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, study number): shuffled by seed and epoch, or in order."""

    def __init__(
        self,
        num_studies: int,
        *,
        batch_size: int,
        epoch: int = 0,
        seed: int | None = None,
        start: int = 0,
        every_nth: Shard = WHOLE,
    ) -> None:
        """Order an epoch's studies, from its batch `start` on; without a seed they stay in order."""
        self._num_studies = num_studies
        self._batch_size = batch_size
        self._seed = seed
        self._every_nth = every_nth
        self.set_epoch(epoch, start)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Order the studies of another epoch, from its batch `start` on."""
        order = np.arange(self._num_studies)
        if self._seed is not None:
            np.random.default_rng([self._seed, epoch]).shuffle(order)
        size = self._batch_size
        firsts = range(start * size, self._num_studies, size)[self._every_nth.number :: self._every_nth.of]
        self._batches = [[(epoch, int(number)) for number in order[first : first + size]] for first in firsts]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class EpochLoader:
    """Reads epochs one after another with the same worker processes, which take seconds to start."""

    def __init__(
        self,
        dataset: StudyDataset,
        settings: BatchSettings,
        *,
        padding: int,
        seed: int | None = None,
        shard: Shard = WHOLE,
        every_nth: Shard = WHOLE,
        keep_workers: bool = True,
    ) -> None:
        """Set up the loader; nothing is read yet.

        Args:
            dataset: the studies.
            settings: studies in a batch, and worker processes.
            padding: id that fills the end of a report.
            seed: of the order; without one the studies come in order.
            shard: which studies of every batch.
            every_nth: which batches: of N shards, number k reads the batches k, k + N, k + 2N and so on.
            keep_workers: keep the processes for the next epoch, for as long as the loader lives.
        """
        self._sampler = StudySampler(len(dataset), batch_size=settings.size, seed=seed, every_nth=every_nth)
        self._loader: DataLoader[Any] = DataLoader(
            _ShardOfBatches(dataset, shard),
            batch_sampler=self._sampler,
            num_workers=settings.workers,
            collate_fn=partial(collate_studies, padding=padding),
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if settings.workers else None,
            persistent_workers=keep_workers and settings.workers > 0,
        )

    def epoch(self, number: int = 0, *, start: int = 0) -> Iterable[Batch]:
        """Return an epoch, counted from 0, from its batch `start` on; only one can be read at a time."""
        self._sampler.set_epoch(number, start)
        return self._loader


def load_batches(
    dataset: StudyDataset,
    settings: BatchSettings,
    *,
    padding: int,
    epoch: int = 0,
    seed: int | None = None,
    start: int = 0,
    every_nth: Shard = WHOLE,
) -> Iterable[Batch]:
    """Return one epoch from its batch `start` on; see `EpochLoader` for the rest."""
    loader = EpochLoader(dataset, settings, padding=padding, seed=seed, every_nth=every_nth, keep_workers=False)
    return loader.epoch(epoch, start=start)


@contextmanager
def worker_failures() -> Iterator[None]:
    """Turn failures of worker processes into one line.

    Raises:
        InputError: an image could not be read.
        WorkError: a process was killed.
    """
    try:
        yield
    except InputError as error:
        # The message is the traceback of the worker; its last line is ours.
        message = str(error)
        if "DataLoader worker process" not in message:
            raise
        raise InputError(message.rpartition("InputError: ")[2].strip()) from None
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise WorkError(
            "a process that reads images was killed, perhaps for lack of memory: continue with --resume, "
            "if need be with fewer batches.workers"
        ) from error
