"""Epochs of batches, read by this process or by others beside it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from xpronet.data.dataset import WHOLE, Batch, BatchItems, BatchSettings, Shard, StudyDataset, collate_studies
from xpronet.errors import InputError, WorkError


class _PartOfBatches(Dataset[BatchItems]):
    """The studies of one part of each batch; of the others only the lengths that decide about padding."""

    def __init__(self, dataset: StudyDataset, part: Shard) -> None:
        self._dataset = dataset
        self._part = part

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> BatchItems:
        return self._dataset.shard_of_batch(keys, self._part)


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
        every: Shard = WHOLE,
    ) -> None:
        """Lay out an epoch from its batch `start` on; without a seed the studies come in order."""
        self._num_studies = num_studies
        self._batch_size = batch_size
        self._seed = seed
        self._every = every
        self.lay_out(epoch, start)

    def lay_out(self, epoch: int, start: int = 0) -> None:
        """Lay out another epoch from its batch `start` on."""
        order = np.arange(self._num_studies)
        if self._seed is not None:
            np.random.default_rng([self._seed, epoch]).shuffle(order)
        size = self._batch_size
        firsts = range(start * size, self._num_studies, size)[self._every.number :: self._every.of]
        self._batches = [[(epoch, int(number)) for number in order[first : first + size]] for first in firsts]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class EpochLoader:
    """Reads epochs one after another with the same processes: starting them anew would hold up every epoch."""

    def __init__(
        self,
        dataset: StudyDataset,
        settings: BatchSettings,
        *,
        padding: int,
        seed: int | None = None,
        part: Shard = WHOLE,
        every: Shard = WHOLE,
        keep_workers: bool = True,
    ) -> None:
        """Read nothing yet.

        Args:
            dataset: the studies.
            settings: studies in a batch, and processes that read.
            padding: id that fills the end of a report.
            seed: of the order; without one the studies come in order.
            part: which studies of every batch.
            every: which batches: those at the part's number and every so many after it.
            keep_workers: let the processes wait for the next epoch, for as long as the loader lives.
        """
        self._sampler = StudySampler(len(dataset), batch_size=settings.size, seed=seed, every=every)
        self._loader: DataLoader[Any] = DataLoader(
            _PartOfBatches(dataset, part),
            batch_sampler=self._sampler,
            num_workers=settings.workers,
            collate_fn=partial(collate_studies, padding=padding),
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if settings.workers else None,
            persistent_workers=keep_workers and settings.workers > 0,
        )

    def epoch(self, number: int = 0, *, start: int = 0) -> Iterable[Batch]:
        """Return an epoch, counted from 0, from its batch `start` on; one at a time can be read."""
        self._sampler.lay_out(number, start)
        return self._loader


def load_batches(
    dataset: StudyDataset,
    settings: BatchSettings,
    *,
    padding: int,
    epoch: int = 0,
    seed: int | None = None,
    start: int = 0,
    every: Shard = WHOLE,
) -> Iterable[Batch]:
    """Return one epoch from its batch `start` on; see `EpochLoader` for the rest."""
    loader = EpochLoader(dataset, settings, padding=padding, seed=seed, every=every, keep_workers=False)
    return loader.epoch(epoch, start=start)


@contextmanager
def reading_failures() -> Iterator[None]:
    """Turn what goes wrong in the processes that read images into a line.

    Raises:
        InputError: an image could not be read.
        WorkError: a process was killed.
    """
    try:
        yield
    except InputError as error:
        # A loader hands on the traceback of its process as the message; ours is its last line.
        message = str(error)
        if "DataLoader worker process" not in message:
            raise
        raise InputError(message.rpartition("InputError: ")[2].strip()) from None
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise WorkError(
            "a process that reads images was killed, perhaps for want of memory: go on with --resume, "
            "if need be with a lower batches.workers"
        ) from error
