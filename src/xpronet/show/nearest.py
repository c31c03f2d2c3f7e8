"""What a prototype represents: the train regions and words whose queries are nearest to its key.

The distance is the cosine between query and key over all heads (paper, eq. 8 to 10): the score by which the model
selects prototypes, without the norms. Shape legend: B studies, S regions of all views, P prototypes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from xpronet.data.corpus import Corpus
from xpronet.data.dataset import BatchSettings, StudyDataset
from xpronet.data.loader import load_batches
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.matching import PrototypeMatching
from xpronet.model.network import as_xpronet
from xpronet.progress import Tracker, silent
from xpronet.text.vocabulary import Vocabulary

MIN_COUNT = 3
"""Fewest occurrences of a word to be listed: rare words are near by chance."""


@dataclass(frozen=True, kw_only=True)
class NearestRegion:
    """A region of a train image."""

    study: str
    """The study's id."""
    view: int
    """Which of the study's views, from 0."""
    row: int
    """Row of the region in the view's grid, from 0 at the top."""
    column: int
    """Column of the region, from 0 at the left."""
    side: int
    """Number of regions along each side of a view."""
    cosine: float
    """Between the region's query and the prototype's key."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, width and height relative to the view."""
        return self.column / self.side, self.row / self.side, 1 / self.side, 1 / self.side


@dataclass(frozen=True, kw_only=True)
class NearestWord:
    """A word of the train reports."""

    text: str
    """The word."""
    cosine: float
    """Mean over all occurrences, since a word's query depends on its position too."""
    count: int
    """Occurrences in the reports that were searched."""


@dataclass(frozen=True, kw_only=True)
class PrototypeNeighbours:
    """The nearest regions and words of one prototype, among the studies that may query it."""

    finding: str
    """The finding of the prototype."""
    index: int
    """Which of that finding's prototypes, from 0."""
    studies: int
    """Studies searched: those with the finding."""
    regions: tuple[NearestRegion, ...]
    """Nearest first, at most one of each study."""
    words: tuple[NearestWord, ...]
    """Nearest first."""


def studies_with_findings(
    labels: Float[np.ndarray, "studies findings"], columns: Sequence[int], *, limit: int
) -> Int[np.ndarray, " chosen"]:
    """Return the indices of studies with the findings, evenly sampled where more than `limit` have one."""
    chosen: set[int] = set()
    for column in columns:
        having = np.flatnonzero(labels[:, column] == 1)
        if len(having) > limit:
            having = having[np.arange(limit) * len(having) // limit]
        chosen |= set(having.tolist())
    return np.array(sorted(chosen), np.int64)


def nearest_neighbours(
    checkpoint: Checkpoint,
    corpus: Corpus,
    studies: Sequence[Study],
    labels: Float[np.ndarray, "studies findings"],
    prototypes: Sequence[tuple[int, int]],
    *,
    num_regions: int,
    num_words: int,
    device: torch.device,
    batch: int = 32,
    track: Tracker = silent,
) -> list[PrototypeNeighbours]:
    """Find the nearest regions and words of prototypes.

    Only studies with a finding are searched for its prototypes: no others may query them.

    Args:
        checkpoint: a model with prototypes of findings.
        corpus: where the images are.
        studies: train studies to search.
        labels: their findings, 0 or 1.
        prototypes: index of the finding among the checkpoint's, and index of its prototype.
        num_regions: regions to keep for each prototype.
        num_words: words to keep for each.
        device: where to compute.
        batch: studies in a batch.
        track: shows progress.

    Raises:
        InputError: the model has no prototypes, or an image cannot be read.
    """
    network = as_xpronet(checkpoint.network, "a search for what is nearest to a prototype").to(device).eval()
    matching = network.matching
    if matching is None:
        raise InputError("this model has no prototypes (model.visible = none)")
    per_finding = network.settings.per_finding
    rows = torch.tensor([finding * per_finding + index for finding, index in prototypes], device=device)
    owners = [finding for finding, _ in prototypes]
    dataset = StudyDataset(
        corpus,
        studies,
        vocabulary=checkpoint.vocabulary,
        findings=labels,
        images=checkpoint.images,
        max_views=checkpoint.max_views,
        augment=False,
    )
    batches = load_batches(dataset, BatchSettings(size=batch), padding=checkpoint.vocabulary.padding)
    best: list[np.ndarray] = []
    places: list[np.ndarray] = []
    reports: list[list[int]] = []
    side = 0
    with torch.inference_mode():
        keys = _keys(matching)[rows]
        for part in track(batches, "Search studies", -(-len(studies) // batch)):
            patches = network.encode_images(part.images.to(device), part.view_mask.to(device))
            cosine = normalize(matching.query(network.patch_embedding(patches.features)), dim=-1) @ keys.T
            top, place = cosine.masked_fill(~patches.mask.unsqueeze(-1), -torch.inf).max(1)
            best.append(top.float().cpu().numpy())
            places.append(place.cpu().numpy())
            side = math.isqrt(patches.mask.shape[1] // part.images.shape[1])
            reports += [_ids(words, checkpoint.vocabulary) for words in part.words.tolist()]
        nearest_words = _nearest_words(checkpoint, keys, reports, labels[:, owners] == 1, num_words)
    scores = np.where(labels[:, owners] == 1, np.concatenate(best), -np.inf)
    where = np.concatenate(places)
    return [
        PrototypeNeighbours(
            finding=checkpoint.findings[finding],
            index=index,
            studies=int((labels[:, finding] == 1).sum()),
            regions=tuple(
                _region(studies[row].id, int(where[row, column]), side, float(scores[row, column]))
                for row in np.argsort(-scores[:, column], kind="stable")[:num_regions]
                if np.isfinite(scores[row, column])
            ),
            words=nearest_words[column],
        )
        for column, (finding, index) in enumerate(prototypes)
    ]


def _keys(matching: PrototypeMatching) -> Float[Tensor, "P width"]:
    return normalize(matching.key(matching.projected()), dim=-1)


def _region(study: str, place: int, side: int, cosine: float) -> NearestRegion:
    view, region = divmod(place, side * side)
    return NearestRegion(
        study=study, view=view, row=region // side, column=region % side, side=side, cosine=round(cosine, 4)
    )


def _nearest_words(
    checkpoint: Checkpoint,
    keys: Float[Tensor, "P width"],
    reports: Sequence[Sequence[int]],
    having: Bool[np.ndarray, "studies P"],
    num_words: int,
) -> list[tuple[NearestWord, ...]]:
    """Return each prototype's nearest words in the reports of the studies that may query it."""
    network, vocabulary = as_xpronet(checkpoint.network, "a search for words"), checkpoint.vocabulary
    assert network.matching is not None
    # All prototypes of a finding are searched in the same studies: words are counted once for all of them.
    kinds, kind_of = np.unique(having, axis=1, return_inverse=True)
    counts = np.zeros((kinds.shape[1], max(map(len, reports)), len(vocabulary)), np.int32)
    for report, kinds_of_study in zip(reports, kinds, strict=True):
        for kind in np.flatnonzero(kinds_of_study):
            counts[kind, np.arange(len(report)), report] += 1
    sums = np.zeros((keys.shape[0], len(vocabulary)))
    for place in range(counts.shape[1]):
        ids = np.flatnonzero(counts[:, place].any(0))
        # BOS is at position 0, a report's first word at 1.
        placed = network.place(
            torch.from_numpy(ids).to(keys.device)[None], torch.tensor([place + 1], device=keys.device)
        )[0]
        cosine = normalize(network.matching.query(placed), dim=-1) @ keys.T
        sums[:, ids] += cosine.T.double().cpu().numpy() * counts[kind_of.ravel(), place][:, ids]
    totals = counts.sum(1)
    texts = [" ".join(vocabulary.word_list([vocabulary.bos, number])) for number in range(len(vocabulary))]
    meant = np.array([text not in ("", ".") and number != vocabulary.unknown for number, text in enumerate(texts)])
    found = []
    for row, kind in enumerate(kind_of.ravel()):
        often = np.flatnonzero((totals[kind] >= MIN_COUNT) & meant)
        means = sums[row, often] / totals[kind, often]
        found.append(
            tuple(
                NearestWord(text=texts[often[k]], cosine=round(float(means[k]), 4), count=int(totals[kind, often[k]]))
                for k in np.argsort(-means, kind="stable")[:num_words]
            )
        )
    return found


def _ids(words: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Return the ids between BOS and EOS or padding."""
    ends = (vocabulary.eos, vocabulary.padding)
    return list(takewhile(lambda number: number not in ends, words[1:]))
