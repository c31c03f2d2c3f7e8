"""Image features fast: folded batch norms, half precision where it pays, images decoded while the encoder works."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import (
    FEATURES_FILE,
    FORMAT,
    INFO_FILE,
    MIRRORED_FILE,
    TYPES,
    FeatureCache,
    Storage,
    cached_image_settings,
    open_feature_cache,
)
from xpronet.data.study import Study, View
from xpronet.encoders.build import encoder_fingerprint
from xpronet.encoders.folding import fold_batch_norms
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.files import check_writable, file_hash, make_folder, read_json, write_json
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, test_view, train_view
from xpronet.precision import Precision, forward_precision, settled_precision
from xpronet.progress import Tracker, silent

READERS = 4
"""Threads that read images while the encoder works on the ones before."""
BATCH = 32
"""Squares that the encoder sees at once; more were no faster on CPUs."""
PROGRESS_FILE = "progress.json"
_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


class FastEncoder:
    """An image encoder for features alone: it cannot be trained, and computes the same, rounding aside."""

    def __init__(self, encoder: ImageEncoder, *, device: torch.device, precision: Precision = "auto") -> None:
        """Copy the encoder to a device; the given one stays as it is.

        Args:
            encoder: with its weights.
            device: where to compute.
            precision: arithmetic; auto is bf16 where the device multiplies it itself.
        """
        self.precision = settled_precision(precision, device)
        self._device = device
        self._encoder = fold_batch_norms(encoder)
        if isinstance(self._encoder, torch.nn.Module):
            self._encoder.to(device)

    @torch.inference_mode()
    def __call__(self, squares: UInt8[np.ndarray, "squares size size"]) -> Float32[Tensor, "squares regions channels"]:
        """Return the features of grey squares, region by region in rows."""
        images = torch.from_numpy(squares).to(self._device)
        with forward_precision(self._device, self.precision):
            maps = self._encoder(images)
        return maps.flatten(2).transpose(1, 2).float()


def read_ahead(given: Iterable[_Given], read: Callable[[_Given], _Read], *, ahead: int) -> Iterator[_Read]:
    """Yield what `read` makes of each item, in order, reading up to `ahead` of them in advance in threads."""
    coming: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        try:
            for item in given:
                coming.append(readers.submit(read, item))
                if len(coming) > ahead:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for one in coming:
                one.cancel()


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """How a feature cache is made."""

    crops: int = 0
    """Random crops of each image beside its test view; training draws one of them for each epoch."""
    seed: int = 0
    """Of the crops."""
    precision: Precision = "auto"
    """Arithmetic of the encoder."""
    storage: Storage = "fp16"
    """Number format of the file."""

    def __post_init__(self) -> None:
        if self.crops < 0 or self.seed < 0:
            raise InputError(f"--crops {self.crops}, --seed {self.seed}: must not be negative")


def write_feature_cache(
    corpus: Corpus,
    studies: Sequence[Study],
    encoder: ImageEncoder,
    folder: Path,
    *,
    name: str,
    images: ImageSettings,
    settings: CacheSettings,
    device: torch.device,
    track: Tracker = silent,
) -> FeatureCache:
    """Compute the features of all images of studies; what was computed before a kill is kept.

    Args:
        corpus: where the images are.
        studies: whose images.
        encoder: the frozen image encoder.
        folder: the cache: new, or begun with the same encoder, images and settings.
        name: of the encoder and its weights.
        images: sizes and crops.
        settings: crops, precision, number format.
        device: where to compute.
        track: shows progress.

    Raises:
        InputError: an image is missing or damaged, or the folder holds something else.
    """
    fast = FastEncoder(encoder, device=device, precision=settings.precision)
    views = [view for study in studies for view in study.views]
    if not views:
        raise InputError(f"{corpus.folder}: no images to compute features of; was it made with --no-images?")
    nearest = check_writable(folder)
    # One forward pass tells the size of the maps.
    regions, channels = fast(np.zeros((1, images.size, images.size), np.uint8)).shape[1:]
    paths = [corpus.view_path(view) for view in views]
    info: dict[str, Any] = {
        "format": FORMAT,
        "image_encoder": name,
        "weights": encoder_fingerprint(encoder),
        "images": cached_image_settings(images, crops=settings.crops),
        "precision": fast.precision,
        "storage": settings.storage,
        "crops": settings.crops,
        "seed": settings.seed,
        "regions": regions,
        "channels": channels,
        "files": {view.path: _size_and_hash(path) for view, path in zip(views, paths, strict=True)},
    }
    if (folder / INFO_FILE).is_file():
        if read_json(folder / INFO_FILE) != info:
            raise InputError(f"{folder}: holds other features, finished before; choose another folder or remove it")
        return open_feature_cache(folder)
    done = _done_before(folder, info)
    if not done:
        _check_space(folder, nearest, info)
    make_folder(folder)
    features, mirrored = _files(folder, info, fresh=not done)
    squares = read_ahead(
        enumerate(views[done:], done),
        lambda numbered: _squares(corpus, numbered[1], numbered[0], images, settings),
        ahead=2 * BATCH,
    )
    for row, (own, flipped) in enumerate(track(_computed(fast, squares), "Image features", len(views) - done), done):
        features[row] = own.numpy()
        mirrored[row] = flipped.numpy()
        if not (row + 1) % (8 * BATCH):
            _save_progress(folder, info, row + 1, features, mirrored)
    _save_progress(folder, info, len(views), features, mirrored)
    # Written last: its presence means that the cache is whole.
    write_json(folder / INFO_FILE, info)
    (folder / PROGRESS_FILE).unlink()
    return open_feature_cache(folder)


def _computed(
    fast: FastEncoder, squares: Iterator[UInt8[np.ndarray, "shown size size"]]
) -> Iterator[tuple[Float32[Tensor, "crops_and_one regions channels"], Float32[Tensor, " channels"]]]:
    """Yield for each image its features and the mean of those of its mirror image, which is its last square."""
    while several := list(islice(squares, max(1, BATCH // 2))):
        shown = len(several[0])
        stacked = np.concatenate(several)
        parts = [fast(stacked[start : start + BATCH]).cpu() for start in range(0, len(stacked), BATCH)]
        seen = torch.cat(parts)
        for each in seen.reshape(-1, shown, *seen.shape[1:]):
            yield each[:-1], each[-1].mean(0)


def _squares(
    corpus: Corpus, view: View, row: int, images: ImageSettings, settings: CacheSettings
) -> UInt8[np.ndarray, "shown size size"]:
    """Return the test view, the crops and the mirrored test view of an image."""
    grey = read_grey(corpus.view_path(view))
    shown = [test_view(grey, images)]
    rng = np.random.default_rng([settings.seed, row])
    shown += [train_view(grey, images, rng) for _ in range(settings.crops)]
    return np.stack([*shown, shown[0][:, ::-1]])


def _files(folder: Path, info: dict[str, Any], *, fresh: bool) -> tuple[np.memmap, np.memmap]:
    """Map the files for writing; make them where the work begins."""
    if not fresh:
        features, mirrored = (
            np.load(folder / name, mmap_mode="r+", allow_pickle=False) for name in (FEATURES_FILE, MIRRORED_FILE)
        )
        return features, mirrored
    files, crops, regions, channels = info["files"], info["crops"], info["regions"], info["channels"]
    shape = (len(files), 1 + crops, regions, channels)
    return (
        np.lib.format.open_memmap(folder / FEATURES_FILE, "w+", TYPES[info["storage"]], shape),
        np.lib.format.open_memmap(folder / MIRRORED_FILE, "w+", np.float32, (len(files), channels)),
    )


def _check_space(folder: Path, nearest: Path, info: dict[str, Any]) -> None:
    """See that the features will fit on the disk.

    Raises:
        InputError: they will not.
    """
    numbers = len(info["files"]) * (1 + info["crops"]) * info["regions"] * info["channels"]
    needed = numbers * np.dtype(TYPES[info["storage"]]).itemsize
    status = os.statvfs(nearest)
    free = status.f_bavail * status.f_frsize
    if needed > free:
        raise InputError(
            f"{folder}: {needed / 2**20:,.0f} MiB are needed and {free / 2**20:,.0f} MiB are free; choose another disk "
            "or fewer --crops"
        )


def _done_before(folder: Path, info: dict[str, Any]) -> int:
    """Return how many images were computed before the work was interrupted.

    Raises:
        InputError: the folder holds something else, or features that were begun otherwise.
    """
    path = folder / PROGRESS_FILE
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty and no begun feature cache; choose another folder")
        return 0
    record = read_json(path)
    if record["info"] != info:
        changed = [name for name in info if record["info"].get(name) != info[name]]
        raise InputError(f"{folder}: was begun with other {', '.join(changed)}; remove it or choose another folder")
    return int(record["done"])


def _save_progress(folder: Path, info: dict[str, Any], done: int, features: np.memmap, mirrored: np.memmap) -> None:
    features.flush()
    mirrored.flush()
    write_json(folder / PROGRESS_FILE, {"done": done, "info": info}, overwrite=True)


def _size_and_hash(path: Path) -> list[Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such image; make the corpus again")
    return [path.stat().st_size, file_hash(path)]
