"""The grey image cache: every image of a corpus as a small PNG of 8 or 16 bits, made once by several processes."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args

from xpronet.errors import InputError
from xpronet.images.grey_range import low_range_warning
from xpronet.images.read import Depth, Grey, at_depth, read_grey, resize_short_side, write_grey
from xpronet.progress import Tracker, silent

WAITING_PER_WORKER = 4
"""Images handed out ahead of a worker, so that it never waits and the queue never grows with the corpus."""

Pair = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """An image that could not be cached."""

    path: Path
    """The image as it was given."""
    reason: str
    """One line that names it, what is wrong and the remedy."""


@dataclass(frozen=True, kw_only=True)
class LowRange:
    """An image that was cached, though it uses little of its grey range."""

    path: Path
    """The image as it was given."""
    warning: str
    """One line that names it and says what it uses."""


Outcome: TypeAlias = Unreadable | LowRange | None


@dataclass(frozen=True, kw_only=True)
class PictureForm:
    """What every image of a corpus looks like."""

    short_side: int | None = 256
    """In pixels, at least 32; smaller images keep their size, and None keeps every image's."""
    depth: Depth = 8
    """Bits of a grey value. 16 keeps what DICOM and 16-bit PNG have beyond 8, and what averaging pixels adds."""

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 32:
            raise InputError(f"short_side = {self.short_side}: at least 32 pixels are needed")
        if self.depth not in get_args(Depth):
            raise InputError(f"depth = {self.depth}: choose 8 or 16 bits")


STANDARD = PictureForm()


def make_cache(
    pairs: Sequence[Pair],
    form: PictureForm = STANDARD,
    *,
    workers: int | None = None,
    track: Tracker = silent,
    warn: Callable[[LowRange], object] = lambda _: None,
) -> list[Unreadable]:
    """Write each image as grey PNG of one form; return those that cannot be read.

    Run again after an interruption, it passes over what is whole, no older than its source and of that form. An image
    that crashes its decoder costs that image only.

    Args:
        pairs: where each image is, and where its PNG goes.
        form: size and depth of the PNG.
        workers: processes; by default one for each core, and 1 stays in this process.
        track: told of each image done.
        warn: told of each image that uses little of its grey range.

    Raises:
        InputError: a destination cannot be written.
    """
    workers = min(workers or _cores(), max(1, len(pairs)))
    outcomes = _here(pairs, form) if workers == 1 else _in_processes(pairs, form, workers)
    unreadable = []
    for outcome in track(outcomes, "Pictures", len(pairs)):
        if isinstance(outcome, LowRange):
            warn(outcome)
        elif outcome is not None:
            unreadable.append(outcome)
    return unreadable


def _here(pairs: Iterable[Pair], form: PictureForm) -> Iterator[Outcome]:
    for pair in pairs:
        yield _cache_one(pair, form)


def _in_processes(pairs: Iterable[Pair], form: PictureForm, workers: int) -> Iterator[Outcome]:
    """Yield each image's outcome in the order of completion, with a bounded number under way."""
    remaining = iter(pairs)
    under_way: list[Pair] = []
    whole = False
    while not whole:
        with _pool(workers) as pool:
            try:
                yield from _drain(pool, remaining, under_way, form, workers * WAITING_PER_WORKER)
                whole = True
            except BrokenProcessPool:
                # A decoder took its process down. Any of those under way may be to blame: each goes alone, below.
                pass
        while under_way:
            yield _alone(under_way.pop(), form)


def _drain(
    pool: ProcessPoolExecutor, remaining: Iterator[Pair], under_way: list[Pair], form: PictureForm, limit: int
) -> Iterator[Outcome]:
    futures: dict[Future[Outcome], Pair] = {}
    while True:
        for pair in itertools.islice(remaining, limit - len(futures)):
            under_way.append(pair)
            futures[pool.submit(_cache_one, pair, form)] = pair
        if not futures:
            return
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            outcome = future.result()
            under_way.remove(futures.pop(future))
            yield outcome


def _alone(pair: Pair, form: PictureForm) -> Outcome:
    with _pool(1) as pool:
        try:
            return pool.submit(_cache_one, pair, form).result()
        except BrokenProcessPool:
            return Unreadable(path=pair[0], reason=f"{pair[0]}: crashes its decoder; export it uncompressed or as PNG")


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: the caller may hold threads (torch) whose locks a fork would copy.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c)


def _leave_ctrl_c() -> None:
    """Let Ctrl-C reach the parent only, which ends the pool in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cache_one(pair: Pair, form: PictureForm) -> Outcome:
    source, destination = pair
    cached = _cached_already(source, destination, form)
    if cached is None:
        try:
            whole = read_grey(source)
            warning = low_range_warning(whole)
            cached = at_depth(whole, form.depth)
            if form.short_side is not None:
                cached = resize_short_side(cached, form.short_side)
        except InputError as error:
            reason = str(error)
            return Unreadable(path=source, reason=reason if str(source) in reason else f"{source}: {reason}")
        # Unsynced: an image that a power cut tears is found and made again by the next run.
        write_grey(destination, cached, overwrite=True, synced=False)
    else:
        warning = low_range_warning(cached)
    return None if warning is None else LowRange(path=source, warning=f"{source}: {warning}")


def _cached_already(source: Path, destination: Path, form: PictureForm) -> Grey | None:
    """Return the cached image if a whole, recent PNG of the right form is there; doubtful ones are made again."""
    if form.short_side is None or not destination.is_file() or not source.is_file():
        return None
    if destination.stat().st_mtime < source.stat().st_mtime:
        return None
    try:
        cached = read_grey(destination)
    except InputError:
        return None
    return cached if cached.dtype.itemsize * 8 == form.depth and min(cached.shape) == form.short_side else None
