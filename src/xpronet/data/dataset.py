"""Studies as batches of tensors."""

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, random_square, resized_for_training, test_view
from xpronet.text.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How studies become batches."""

    size: int = 16
    """Studies in a batch (paper: 16)."""
    max_views: int = 2
    """Views used of each study, in reading order; IU X-Ray 2, MIMIC-CXR 1."""
    drop_views: float = 0.0
    """Probability that a train study of several views is shown without some of them: how many stay, and which, is
    drawn for each epoch. A model trained with it loses less where a study has fewer views than the train studies."""
    workers: int = 0
    """Processes that read images; 0 reads them in the main process."""
    keep_megabytes: int = 0
    """Memory for train and validation images each, once they are read and resized, in each process that reads; later
    epochs then read only what found no room. 0 reads every image in every epoch."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.max_views < 1 or self.workers < 0 or self.keep_megabytes < 0:
            raise InputError("batches: size and max_views must be at least 1, workers and keep_megabytes at least 0")
        if not 0 <= self.drop_views <= 1:
            raise InputError(f"batches.drop_views = {self.drop_views}: must be a probability, between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Several studies, padded to the most views and the longest report among them."""

    ids: tuple[str, ...]
    """Ids of the studies."""
    images: UInt8[Tensor, "studies views height width"] | Float[Tensor, "studies views regions channels"]
    """Grey images, black where a study has fewer views; or, from a feature cache, the views' patch features."""
    view_mask: Bool[Tensor, "studies views"]
    """True on real views."""
    words: Int[Tensor, "studies length"]
    """Report ids from BOS to EOS, then padding."""
    word_mask: Bool[Tensor, "studies length"]
    """True on BOS, words and EOS."""
    findings: Bool[Tensor, "studies findings"]
    """Labels of the study."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            view_mask=self.view_mask.to(device, non_blocking=True),
            words=self.words.to(device, non_blocking=True),
            word_mask=self.word_mask.to(device, non_blocking=True),
            findings=self.findings.to(device, non_blocking=True),
        )


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Which share of every batch to read: that of one of several processes, which together read all of it."""

    number: int = 0
    """The shard, from 0."""
    of: int = 1
    """How many shards there are."""

    def rows(self, size: int) -> range:
        """Return which studies of a batch of `size` are in the shard; sizes of shards differ by one at most."""
        return range(size * self.number // self.of, size * (self.number + 1) // self.of)


WHOLE = Shard()
"""The whole batch."""


_VIEWS_DRAWN = 1
"""Marks the random numbers that decide which views are left out, apart from those of the crops."""


@dataclass(frozen=True)
class _Item:
    id: str
    images: UInt8[np.ndarray, "views height width"] | Float[np.ndarray, "views regions channels"]
    words: list[int]
    findings: Bool[np.ndarray, " findings"]


@dataclass(frozen=True, kw_only=True)
class BatchItems:
    """A shard of a batch, with the sizes that all its shards are padded to."""

    items: Sequence[_Item]
    num_views: int
    length: int
    num_findings: int
    view_shape: tuple[int, int]
    """Height and width of a view, or its regions and channels."""
    view_type: np.dtype[Any]


class StudyDataset(Dataset[_Item]):
    """Studies of a corpus, read on access; what is drawn at random depends on seed, epoch and study alone."""

    def __init__(
        self,
        corpus: Corpus,
        studies: Sequence[Study],
        *,
        vocabulary: Vocabulary,
        findings: Float[np.ndarray, "studies findings"],
        images: ImageSettings,
        max_views: int,
        augment: bool,
        drop_views: float = 0.0,
        keep_megabytes: int = 0,
        seed: int = 0,
        features: FeatureCache | None = None,
        encode: Callable[[str], list[int]] | None = None,
    ) -> None:
        """Check the studies; no image is read.

        Args:
            corpus: where the images are.
            studies: which ones.
            vocabulary: turns reports into ids.
            findings: 0/1 labels, one row a study.
            images: sizes and crops.
            max_views: views used of each study.
            augment: random crops for training, or the one way images are shown in use.
            drop_views: probability of leaving views out, for training.
            keep_megabytes: memory for images that were read once.
            seed: of the random crops and of the views left out.
            features: read patch features from this cache in place of images.
            encode: turns a report into ids, where the report model has a way of its own; else the vocabulary does.

        Raises:
            InputError: a study has no view, or the cache was made of other images or with other settings.
        """
        without = [study.id for study in studies if not study.views]
        if without:
            raise InputError(
                f"{corpus.folder}: {len(without)} studies have no view (first {', '.join(without[:3])}); "
                "a corpus made with --no-images holds texts only"
            )
        if features is not None:
            features.check_images(images)
            features.check_studies(corpus, studies, max_views=max_views)
        self._features = features
        self._corpus = corpus
        self._studies = tuple(studies)
        self._encode = encode or vocabulary.encode
        assert len(findings) == len(studies), "one row of labels for each study"
        assert np.isin(findings, (0, 1)).all(), "labels that are ignored are no booleans"
        self._findings = findings.astype(bool)
        self._images = images
        self._max_views = max_views
        self._augment = augment
        self._drop_views = drop_views
        self._seed = seed
        self._kept: dict[str, UInt8[np.ndarray, "_ _"]] = {}
        self._room = keep_megabytes * 2**20

    def __len__(self) -> int:
        return len(self._studies)

    def first(self, num_studies: int) -> "StudyDataset":
        """Return the first studies as a dataset of their own."""
        few = copy(self)
        few._studies, few._findings = self._studies[:num_studies], self._findings[:num_studies]
        return few

    def __getitem__(self, key: tuple[int, int]) -> _Item:
        """Return one study.

        Args:
            key: the epoch and the study's number.
        """
        epoch, number = key
        study = self._studies[number]
        rng = np.random.default_rng([self._seed, epoch, number])
        views = [self._read(view, rng) for view in self._shown_views(epoch, number)]
        return _Item(study.id, np.stack(views), self._encode(study.report), self._findings[number])

    def _read(
        self, view: View, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "height width"] | Float[np.ndarray, "regions channels"]:
        if self._features is None:
            resized = self._resized(view)
            return random_square(resized, self._images, rng) if self._augment else resized
        crops = self._features.crops if self._augment else 0
        return self._features.view(view, int(rng.integers(1, crops, endpoint=True)) if crops else 0)

    def _resized(self, view: View) -> UInt8[np.ndarray, "height width"]:
        """Return what a train view is cut from at random, or the test view; from memory where it was kept."""
        kept = self._kept.get(view.path)
        if kept is not None:
            return kept
        grey = read_grey(self._corpus.view_path(view))
        resized = resized_for_training(grey, self._images) if self._augment else test_view(grey, self._images)
        if resized.nbytes <= self._room:
            self._room -= resized.nbytes
            # A copy, because a crop would keep the whole image in memory.
            self._kept[view.path] = resized.copy()
        return resized

    @property
    def corpus(self) -> Corpus:
        """Return the corpus that the studies belong to."""
        return self._corpus

    def view_statistics(self) -> dict[str, Any]:
        """Return what views the studies have, of those that are used of each, as JSON values.

        `counts`: studies by number of views; `positions`: studies by the view positions they have, sorted and joined by
        " + ", "?" where a position is unknown; `drop_views`: the probability of leaving some out.
        """
        used = [study.views[: self._max_views] for study in self._studies]
        counts = Counter(len(views) for views in used)
        positions = Counter(" + ".join(sorted(view.position or "?" for view in views)) for views in used)
        return {
            "counts": {str(number): counts[number] for number in sorted(counts)},
            "positions": dict(sorted(positions.items())),
            "drop_views": self._drop_views,
        }

    def _shown_views(self, epoch: int, number: int) -> tuple[View, ...]:
        """Return the views of a study that are shown in an epoch, in reading order."""
        views = self._studies[number].views[: self._max_views]
        if len(views) == 1 or not self._drop_views:
            return views
        # A generator of its own: with the setting off, crops are drawn as if it did not exist.
        rng = np.random.default_rng([self._seed, epoch, number, _VIEWS_DRAWN])
        if rng.random() >= self._drop_views:
            return views
        kept = rng.choice(len(views), size=rng.integers(1, len(views)), replace=False)
        return tuple(views[index] for index in sorted(kept))

    def shard_of_batch(self, keys: Sequence[tuple[int, int]], part: Shard) -> BatchItems:
        """Return a part of the batch of these studies; no image of another part is opened."""
        items = [self[keys[row]] for row in part.rows(len(keys))]
        if part.of == 1:
            num_views, length = max(len(item.images) for item in items), max(len(item.words) for item in items)
        else:
            num_views = max(len(self._shown_views(epoch, number)) for epoch, number in keys)
            length = max(len(self._encode(self._studies[number].report)) for _, number in keys)
        return BatchItems(
            items=items,
            num_views=num_views,
            length=length,
            num_findings=self._findings.shape[1],
            view_shape=(self._images.size,) * 2 if self._features is None else self._features.features.shape[2:],
            view_type=np.dtype(np.uint8) if self._features is None else self._features.features.dtype,
        )


def collate_studies(shard: BatchItems, *, padding: int) -> Batch:
    """Make a batch of the studies of a shard, padded as the whole batch is."""
    items = shard.items
    images = np.zeros((len(items), shard.num_views, *shard.view_shape), shard.view_type)
    view_mask = np.zeros((len(items), shard.num_views), bool)
    words = np.full((len(items), shard.length), padding, np.int64)
    word_mask = np.zeros((len(items), shard.length), bool)
    findings = np.zeros((len(items), shard.num_findings), bool)
    for row, item in enumerate(items):
        images[row, : len(item.images)] = item.images
        view_mask[row, : len(item.images)] = True
        words[row, : len(item.words)] = item.words
        word_mask[row, : len(item.words)] = True
        findings[row] = item.findings
    return Batch(
        ids=tuple(item.id for item in items),
        images=torch.from_numpy(images),
        view_mask=torch.from_numpy(view_mask),
        words=torch.from_numpy(words),
        word_mask=torch.from_numpy(word_mask),
        findings=torch.from_numpy(findings),
    )
