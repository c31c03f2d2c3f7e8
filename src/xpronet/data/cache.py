"""The grey picture cache: every picture of a corpus as a small 8-bit PNG, made once by several processes."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xpronet.data.images import eight_bits, read_grey, resize_short_side, write_grey
from xpronet.errors import InputError
from xpronet.progress import Tracker, silent

WAITING_PER_WORKER = 4
"""Pictures handed out ahead of a worker, so that it never waits and the queue never grows with the corpus."""

Pair = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A picture that could not be cached."""

    path: Path
    """The picture as it was given."""
    reason: str
    """One line that names it, what is wrong and the remedy."""


def make_cache(
    pairs: Sequence[Pair], *, short_side: int | None = 256, workers: int | None = None, track: Tracker = silent
) -> list[Unreadable]:
    """Write each picture as 8-bit grey PNG with the short side given; return those that cannot be read.

    Smaller pictures keep their size. Run again after an interruption, it passes over what is whole, no older than its
    source and of the right size. A picture that crashes its decoder costs that picture only.

    Args:
        pairs: where each picture is, and where its PNG goes.
        short_side: in pixels; None keeps every picture's size.
        workers: processes; by default one for each core, and 1 stays in this process.
        track: told of each picture done.

    Raises:
        InputError: a destination cannot be written.
    """
    workers = min(workers or _cores(), max(1, len(pairs)))
    outcomes = _here(pairs, short_side) if workers == 1 else _in_processes(pairs, short_side, workers)
    return [outcome for outcome in track(outcomes, "Pictures", len(pairs)) if outcome is not None]


def _here(pairs: Iterable[Pair], short_side: int | None) -> Iterator[Unreadable | None]:
    for pair in pairs:
        yield _cache_one(pair, short_side)


def _in_processes(pairs: Iterable[Pair], short_side: int | None, workers: int) -> Iterator[Unreadable | None]:
    """Yield each picture's outcome in the order of completion, with a bounded number under way."""
    remaining = iter(pairs)
    under_way: list[Pair] = []
    whole = False
    while not whole:
        with _pool(workers) as pool:
            try:
                yield from _drain(pool, remaining, under_way, short_side, workers * WAITING_PER_WORKER)
                whole = True
            except BrokenProcessPool:
                # A decoder took its process down. Any of those under way may be to blame: each goes alone, below.
                pass
        while under_way:
            yield _alone(under_way.pop(), short_side)


def _drain(
    pool: ProcessPoolExecutor, remaining: Iterator[Pair], under_way: list[Pair], short_side: int | None, limit: int
) -> Iterator[Unreadable | None]:
    futures: dict[Future[Unreadable | None], Pair] = {}
    while True:
        for pair in itertools.islice(remaining, limit - len(futures)):
            under_way.append(pair)
            futures[pool.submit(_cache_one, pair, short_side)] = pair
        if not futures:
            return
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            outcome = future.result()
            under_way.remove(futures.pop(future))
            yield outcome


def _alone(pair: Pair, short_side: int | None) -> Unreadable | None:
    with _pool(1) as pool:
        try:
            return pool.submit(_cache_one, pair, short_side).result()
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


def _cache_one(pair: Pair, short_side: int | None) -> Unreadable | None:
    source, destination = pair
    try:
        if _is_done(source, destination, short_side):
            return None
        grey = eight_bits(read_grey(source))
        if short_side is not None:
            grey = resize_short_side(grey, short_side)
    except InputError as error:
        reason = str(error)
        return Unreadable(path=source, reason=reason if str(source) in reason else f"{source}: {reason}")
    # Unsynced: a picture that a power cut tears is found and made again by the next run.
    write_grey(destination, grey, overwrite=True, synced=False)
    return None


def _is_done(source: Path, destination: Path, short_side: int | None) -> bool:
    """Tell whether a whole, recent PNG of the right size is there; doubtful ones are made again."""
    if short_side is None or not destination.is_file() or not source.is_file():
        return False
    if destination.stat().st_mtime < source.stat().st_mtime:
        return False
    try:
        cached = read_grey(destination)
    except InputError:
        return False
    return cached.dtype == np.uint8 and min(cached.shape) == short_side
