"""Patch features of a corpus's images, computed once by a frozen image encoder and mapped from files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from xpronet.data.corpus import Corpus
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.files import file_hash, read_json
from xpronet.images.transforms import ImageSettings, viewed_by

INFO_FILE = "features.json"
FEATURES_FILE = "features.npy"
MIRRORED_FILE = "mirrored.npy"
FORMAT = 1
REMEDY = "make it again with `xpronet features`"
CHECKED_FILES = 64
"""Images whose content is compared with the cache's when it is opened, evenly spaced; of the others only the size."""

Storage = Literal["fp16", "fp32"]
TYPES: Mapping[str, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}
_FIELDS = (
    "image_encoder",
    "weights",
    "images",
    "precision",
    "storage",
    "crops",
    "seed",
    "regions",
    "channels",
    "files",
)


@dataclass(frozen=True, kw_only=True)
class FeatureCache:
    """A finished cache; `open_feature_cache` makes one."""

    folder: Path
    """Where it lies."""
    image_encoder: str
    """Name of the image encoder and its weights."""
    weights: str
    """Fingerprint of the encoder: its settings and every weight (`encoder_fingerprint`)."""
    images: Mapping[str, int | str]
    """The image settings that the features depend on: of the test view, and of the crops where there are some."""
    precision: str
    """Arithmetic that the features were computed in."""
    storage: str
    """Number format of the file: fp16 or fp32."""
    crops: int
    """Random crops of each image beside its test view."""
    seed: int
    """Of the crops."""
    regions: int
    """R: regions of a view, row by row."""
    channels: int
    """Of the encoder's maps."""
    files: Mapping[str, tuple[int, str]]
    """Size and SHA-256 of each image, by its path in the corpus, in the order of the rows."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Row of each image."""
    features: Float[np.ndarray, "images crops_and_one regions channels"]
    """Features of each image: of its test view, then of its crops."""
    mirrored: Float[np.ndarray, "images channels"]
    """Mean over the regions of the mirrored test view (o^if of section 3.2)."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes map the files themselves: a pickled memory map would be a copy of them.
        return open_feature_cache, (self.folder,)

    def view(self, view: View, crop: int = 0) -> Float[np.ndarray, "regions channels"]:
        """Return the features of a view: of its test view, or of a crop counted from 1."""
        return self.features[self.rows[view.path], crop]

    def pooled(self, view: View) -> Float[np.ndarray, " channels"]:
        """Return the mean over regions of a test view's features."""
        mean: Float[np.ndarray, " channels"] = self.view(view).astype(np.float32).mean(0)
        return mean

    def check_encoder(self, *, name: str, weights: str) -> None:
        """Make sure that an image encoder made the cache.

        Args:
            name: of the encoder that the features are to stand for.
            weights: its fingerprint.

        Raises:
            InputError: another did.
        """
        if weights != self.weights:
            raise InputError(
                f"{self.folder}: features of another image encoder, {self.image_encoder}; the recipe or checkpoint has "
                f"{name}; {REMEDY}"
            )

    def check_images(self, settings: ImageSettings) -> None:
        """Make sure that the cache was made with these image settings.

        Raises:
            InputError: it was not; the line names the first difference.
        """
        wanted = cached_image_settings(settings, crops=self.crops)
        for name in dict.fromkeys([*wanted, *self.images]):
            if wanted.get(name) != self.images.get(name):
                raise InputError(
                    f"{self.folder}: made with images.{name} = {self.images.get(name)}, not {wanted.get(name)}; "
                    f"{REMEDY}"
                )

    def check_studies(self, corpus: Corpus, studies: Sequence[Study], *, max_views: int) -> None:
        """Make sure that the cache has the images of studies as they are now.

        Raises:
            InputError: an image is missing in the cache or the corpus, or is another by now.
        """
        views = [view for study in studies for view in study.views[:max_views]]
        lacking = [view.path for view in views if view.path not in self.rows]
        if lacking:
            raise InputError(
                f"{self.folder}: lacks {len(lacking)} of {len(views)} images of {corpus.folder} (first {lacking[0]}); "
                f"{REMEDY}"
            )
        every = max(1, len(views) // CHECKED_FILES)
        for number, view in enumerate(views):
            path = corpus.view_path(view)
            size, digest = self.files[view.path]
            if not path.is_file():
                raise InputError(f"{path}: no such image; make the corpus again")
            if path.stat().st_size != size or (not number % every and file_hash(path) != digest):
                raise InputError(f"{self.folder}: made from another {view.path} than that of {corpus.folder}; {REMEDY}")


def cached_image_settings(settings: ImageSettings, *, crops: int) -> dict[str, int | str]:
    """Return the image settings that a cache depends on."""
    kept = dict(viewed_by(settings))
    if crops:
        kept |= {"short_side": settings.short_side, "train": settings.train}
    return kept


def open_feature_cache(folder: str | Path) -> FeatureCache:
    """Map a finished cache; no feature is read.

    Raises:
        InputError: the folder is no cache, is not finished, or is damaged.
    """
    folder = Path(folder)
    path = folder / INFO_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: no finished feature cache here ({INFO_FILE} is missing); make it with `xpronet features`"
        )
    info = read_json(path)
    if not isinstance(info, dict) or info.get("format") != FORMAT or not set(_FIELDS) <= set(info):
        raise InputError(f"{path}: not a feature cache of format {FORMAT}; {REMEDY}")
    files = {name: (int(size), str(digest)) for name, (size, digest) in info["files"].items()}
    shape = (len(files), 1 + info["crops"], info["regions"], info["channels"])
    return FeatureCache(
        **{name: info[name] for name in _FIELDS if name != "files"},
        folder=folder,
        files=files,
        rows={name: row for row, name in enumerate(files)},
        features=_mapped(folder / FEATURES_FILE, shape, TYPES[info["storage"]]),
        mirrored=_mapped(folder / MIRRORED_FILE, (len(files), info["channels"]), np.float32),
    )


def describe_feature_cache(cache: FeatureCache) -> str:
    """Return what a cache is, in one line."""
    crops = f", {cache.crops} crops each" if cache.crops else ""
    return (
        f"{cache.folder}: {cache.image_encoder}, {len(cache.files):,} images{crops}, {cache.regions} regions of "
        f"{cache.channels} channels, {cache.storage} computed in {cache.precision}"
    )


def _mapped(path: Path, shape: tuple[int, ...], kind: type[np.floating[Any]]) -> Float[np.ndarray, "*shape"]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        array = np.zeros(0, np.uint8)
    if array.shape != shape or array.dtype != kind:
        raise InputError(f"{path}: not the features that {INFO_FILE} tells of; {REMEDY}")
    return array
