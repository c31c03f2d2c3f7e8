"""The grey images of a corpus: PNG of 8 or 16 bits, made by several processes beside the corpus, then moved into it."""

import hashlib
import itertools
import multiprocessing
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args

from xpronet.corpora.source import SourceStudy
from xpronet.data.corpus import IMAGES_FOLDER
from xpronet.errors import InputError
from xpronet.images.grey_range import low_range_warning
from xpronet.images.read import Depth, Grey, at_depth, read_grey, resize_short_side, write_grey
from xpronet.launch import num_cores
from xpronet.progress import Tracker, silent

QUEUED_PER_WORKER = 4
"""Images queued for each worker, so that it never waits and the queue does not grow with the corpus."""

Pair = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class UnreadableImage:
    """An image that could not be cached."""

    path: Path
    """The image as it was given."""
    reason: str
    """One line that names it, what is wrong and the remedy."""


@dataclass(frozen=True, kw_only=True)
class LowRangeImage:
    """An image that was cached, though it uses little of its grey range."""

    path: Path
    """The image as it was given."""
    warning: str
    """One line that names it and says what it uses."""


Outcome: TypeAlias = UnreadableImage | LowRangeImage | None


@dataclass(frozen=True, kw_only=True)
class ImageFormat:
    """Size and depth of a corpus's images."""

    short_side: int | None = 256
    """In pixels, at least 32; smaller images keep their size, and None keeps every image's."""
    depth: Depth = 8
    """Bits of a grey value. 16 keeps what DICOM and 16-bit PNG have beyond 8, and what averaging pixels adds."""

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 32:
            raise InputError(f"short_side = {self.short_side}: at least 32 pixels are needed")
        if self.depth not in get_args(Depth):
            raise InputError(f"depth = {self.depth}: choose 8 or 16 bits")


DEFAULT_FORMAT = ImageFormat()


def make_cache(
    pairs: Sequence[Pair],
    image_format: ImageFormat = DEFAULT_FORMAT,
    *,
    workers: int | None = None,
    track: Tracker = silent,
    warn: Callable[[LowRangeImage], object] = lambda _: None,
) -> list[UnreadableImage]:
    """Write each image as grey PNG; return those that cannot be read.

    Run again after an interruption, it skips PNG files that are whole, no older than their source and of the right
    format. An image that crashes its decoder costs that image only.

    Args:
        pairs: where each image is, and where its PNG goes.
        image_format: size and depth of the PNG.
        workers: processes; by default one for each core, and 1 stays in this process.
        track: shows progress.
        warn: called with each image that uses little of its grey range.

    Raises:
        InputError: a destination cannot be written.
    """
    workers = min(workers or num_cores(), max(1, len(pairs)))
    outcomes = _in_this_process(pairs, image_format) if workers == 1 else _in_processes(pairs, image_format, workers)
    unreadable = []
    for outcome in track(outcomes, "Convert images", len(pairs)):
        if isinstance(outcome, LowRangeImage):
            warn(outcome)
        elif outcome is not None:
            unreadable.append(outcome)
    return unreadable


def stage_images(
    studies: Sequence[SourceStudy],
    images: Path,
    out: Path,
    image_format: ImageFormat,
    track: Tracker,
    warn: Callable[[LowRangeImage], object] = lambda _: None,
) -> list[UnreadableImage]:
    """Convert the images of all studies in a staging folder beside `out`; return those that cannot be read.

    They stay there until `place_images` moves them, so that a run that was stopped is continued by the next. Names in
    the staging folder stand for source, size and depth: another choice of studies finds its own images and no other's.
    """
    staging = staging_folder(out)
    sources = dict.fromkeys(images / path for study in studies for path, _ in study.images)
    pairs = [(source, _staged(staging, source, image_format)) for source in sources]
    return make_cache(pairs, image_format, track=track, warn=warn)


def place_images(
    studies: Sequence[SourceStudy], images: Path, out: Path, folder: Path, image_format: ImageFormat
) -> dict[str, list[str]]:
    """Move the images that `stage_images` made into the corpus `folder`; return their paths there by study id."""
    paths = image_paths(studies)
    staging = staging_folder(out)
    (folder / IMAGES_FOLDER).mkdir(exist_ok=True)
    uses = Counter(path for study in studies for path, _ in study.images)
    for study in studies:
        for target, (path, _) in zip(paths[study.id], study.images, strict=True):
            source = _staged(staging, images / path, image_format)
            uses[path] -= 1
            if uses[path]:
                shutil.copyfile(source, folder / target)
            else:
                os.replace(source, folder / target)
    return paths


def image_paths(studies: Sequence[SourceStudy]) -> dict[str, list[str]]:
    """Return paths in a corpus folder, by study id, that are readable, safe on every file system and distinct."""
    names = {study.id: re.sub(r"[^A-Za-z0-9_-]+", "_", study.id)[:64] for study in studies}
    uses = Counter(name.lower() for name in names.values())
    paths = {}
    for study in studies:
        name = names[study.id]
        if name != study.id or uses[name.lower()] > 1:
            name += "-" + hashlib.sha256(os.fsencode(study.id)).hexdigest()[:8]
        paths[study.id] = [f"{IMAGES_FOLDER}/{name}-{view}.png" for view in range(1, len(study.images) + 1)]
    return paths


def staging_folder(out: Path) -> Path:
    """Return the folder beside a corpus that holds its converted images until all are there."""
    return out.absolute().with_name(f".{out.absolute().name}.images")


def describe_staged(out: Path) -> str:
    """Return how many images of a stopped run are staged beside `out`, as the end of a message; often empty."""
    staging = staging_folder(out)
    count = sum(path.suffix == ".png" for path in staging.iterdir()) if staging.is_dir() else 0
    return f" ({count:,} images converted so far are kept in {staging.name} for the next run)" if count else ""


def clear_staging(out: Path) -> None:
    """Remove the staging folder beside `out`: the corpus is whole, or needs no images."""
    shutil.rmtree(staging_folder(out), ignore_errors=True)


def _staged(staging: Path, source: Path, image_format: ImageFormat) -> Path:
    identity = f"{image_format.short_side} {image_format.depth} {source.absolute()}"
    return staging / f"{hashlib.sha256(os.fsencode(identity)).hexdigest()}.png"


def _in_this_process(pairs: Iterable[Pair], image_format: ImageFormat) -> Iterator[Outcome]:
    for pair in pairs:
        yield _cache_one(pair, image_format)


def _in_processes(pairs: Iterable[Pair], image_format: ImageFormat, workers: int) -> Iterator[Outcome]:
    """Yield each image's outcome in the order of completion, with a bounded number of them pending."""
    remaining = iter(pairs)
    pending: list[Pair] = []
    whole = False
    while not whole:
        with _pool(workers) as pool:
            try:
                yield from _drain(pool, remaining, pending, image_format, workers * QUEUED_PER_WORKER)
                whole = True
            except BrokenProcessPool:
                # A decoder crashed its process, and it may have been that of any pending image: each is tried alone.
                pass
        while pending:
            yield _alone(pending.pop(), image_format)


def _drain(
    pool: ProcessPoolExecutor, remaining: Iterator[Pair], pending: list[Pair], image_format: ImageFormat, limit: int
) -> Iterator[Outcome]:
    futures: dict[Future[Outcome], Pair] = {}
    while True:
        for pair in itertools.islice(remaining, limit - len(futures)):
            pending.append(pair)
            futures[pool.submit(_cache_one, pair, image_format)] = pair
        if not futures:
            return
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            outcome = future.result()
            pending.remove(futures.pop(future))
            yield outcome


def _alone(pair: Pair, image_format: ImageFormat) -> Outcome:
    with _pool(1) as pool:
        try:
            return pool.submit(_cache_one, pair, image_format).result()
        except BrokenProcessPool:
            return UnreadableImage(
                path=pair[0], reason=f"{pair[0]}: crashes its decoder; export it uncompressed or as PNG"
            )


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: the caller may hold threads (torch) whose locks a fork would copy.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_ctrl_c)


def _ignore_ctrl_c() -> None:
    """Let Ctrl-C reach the parent process only, which shuts the pool down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cache_one(pair: Pair, image_format: ImageFormat) -> Outcome:
    source, destination = pair
    grey = _cached(source, destination, image_format)
    if grey is not None:
        return _low_range(source, grey)
    try:
        whole = read_grey(source)
        grey = at_depth(whole, image_format.depth)
        if image_format.short_side is not None:
            grey = resize_short_side(grey, image_format.short_side)
    except InputError as error:
        reason = str(error)
        return UnreadableImage(path=source, reason=reason if str(source) in reason else f"{source}: {reason}")
    # Not synced: an image damaged by a power cut is found and made again by the next run.
    write_grey(destination, grey, overwrite=True, synced=False)
    return _low_range(source, whole)


def _low_range(source: Path, grey: Grey) -> LowRangeImage | None:
    warning = low_range_warning(grey)
    return None if warning is None else LowRangeImage(path=source, warning=f"{source}: {warning}")


def _cached(source: Path, destination: Path, image_format: ImageFormat) -> Grey | None:
    """Return the image of a whole, recent PNG of the right format; None where it is doubtful and made again."""
    if image_format.short_side is None or not destination.is_file() or not source.is_file():
        return None
    if destination.stat().st_mtime < source.stat().st_mtime:
        return None
    try:
        cached = read_grey(destination)
    except InputError:
        return None
    right = cached.dtype.itemsize * 8 == image_format.depth and min(cached.shape) == image_format.short_side
    return cached if right else None
