"""What a prototype stands for: the train regions and words whose queries come nearest to its key.

Nearness is the cosine between query and key over all heads (paper, eq. 8 to 10): the score by which the model chooses
its prototypes, without the lengths. Shape legend: B studies, S regions of all views, P prototypes.
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
from xpronet.progress import Tracker, silent
from xpronet.text.vocabulary import Vocabulary

FEWEST = 3
"""Times that a word must stand in the reports to be listed: what stands once is near by luck."""


@dataclass(frozen=True, kw_only=True)
class NearRegion:
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
    """Regions along each side of a view."""
    cosine: float
    """Between the region's query and the prototype's key."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, width and height as parts of the view."""
        return self.column / self.side, self.row / self.side, 1 / self.side, 1 / self.side


@dataclass(frozen=True, kw_only=True)
class NearWord:
    """A word of the train reports."""

    text: str
    """The word."""
    cosine: float
    """Mean over all places where it stands, since a word's query also holds its position."""
    count: int
    """How often it stands in the reports looked through."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """What is nearest to one prototype among the studies that may query it."""

    finding: str
    """Whose prototype it is."""
    index: int
    """Which of that finding's prototypes, from 0."""
    studies: int
    """Studies looked through: those with the finding."""
    regions: tuple[NearRegion, ...]
    """Nearest first, at most one a study."""
    words: tuple[NearWord, ...]
    """Nearest first."""


def studies_with(
    labels: Float[np.ndarray, "studies findings"], columns: Sequence[int], *, limit: int
) -> Int[np.ndarray, " chosen"]:
    """Return the numbers of studies that have the findings, evenly picked where there are more than `limit` of one."""
    chosen: set[int] = set()
    for column in columns:
        having = np.flatnonzero(labels[:, column] == 1)
        if len(having) > limit:
            having = having[np.arange(limit) * len(having) // limit]
        chosen |= set(having.tolist())
    return np.array(sorted(chosen), np.int64)


def nearest(
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
) -> list[Neighbours]:
    """Find the nearest regions and words of prototypes.

    A study counts for the prototypes of its findings only: no other could query them.

    Args:
        checkpoint: a model with prototypes of findings.
        corpus: where the images are.
        studies: train studies to look through.
        labels: their findings, 0 or 1.
        prototypes: place of the finding among the checkpoint's, and number of its prototype.
        num_regions: regions to keep of each prototype.
        num_words: words to keep of each.
        device: where to compute.
        batch: studies at a time.
        track: shows progress.

    Raises:
        InputError: the model has no prototypes, or an image cannot be read.
    """
    network = checkpoint.network.to(device).eval()
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
        for part in track(batches, "Look through studies", -(-len(studies) // batch)):
            patches = network.encode_images(part.images.to(device), part.view_mask.to(device))
            cosine = normalize(matching.query(network.patch_embedding(patches.features)), dim=-1) @ keys.T
            top, place = cosine.masked_fill(~patches.mask.unsqueeze(-1), -torch.inf).max(1)
            best.append(top.float().cpu().numpy())
            places.append(place.cpu().numpy())
            side = math.isqrt(patches.mask.shape[1] // part.images.shape[1])
            reports += [_ids(words, checkpoint.vocabulary) for words in part.words.tolist()]
        near_words = _near_words(checkpoint, keys, reports, labels[:, owners] == 1, num_words)
    scores = np.where(labels[:, owners] == 1, np.concatenate(best), -np.inf)
    where = np.concatenate(places)
    return [
        Neighbours(
            finding=checkpoint.findings[finding],
            index=index,
            studies=int((labels[:, finding] == 1).sum()),
            regions=tuple(
                _region(studies[row].id, int(where[row, column]), side, float(scores[row, column]))
                for row in np.argsort(-scores[:, column], kind="stable")[:num_regions]
                if np.isfinite(scores[row, column])
            ),
            words=near_words[column],
        )
        for column, (finding, index) in enumerate(prototypes)
    ]


def _keys(matching: PrototypeMatching) -> Float[Tensor, "P width"]:
    return normalize(matching.key(matching.projected()), dim=-1)


def _region(study: str, place: int, side: int, cosine: float) -> NearRegion:
    view, region = divmod(place, side * side)
    return NearRegion(
        study=study, view=view, row=region // side, column=region % side, side=side, cosine=round(cosine, 4)
    )


def _near_words(
    checkpoint: Checkpoint,
    keys: Float[Tensor, "P width"],
    reports: Sequence[Sequence[int]],
    having: Bool[np.ndarray, "studies P"],
    num_words: int,
) -> list[tuple[NearWord, ...]]:
    """Return each prototype's nearest words among the reports of the studies that may query it."""
    network, vocabulary = checkpoint.network, checkpoint.vocabulary
    assert network.matching is not None
    # Prototypes of one finding belong to the same studies: words are counted once for all of them.
    kinds, kind_of = np.unique(having, axis=1, return_inverse=True)
    counts = np.zeros((kinds.shape[1], max(map(len, reports)), len(vocabulary)), np.int32)
    for report, kinds_of_study in zip(reports, kinds, strict=True):
        for kind in np.flatnonzero(kinds_of_study):
            counts[kind, np.arange(len(report)), report] += 1
    sums = np.zeros((keys.shape[0], len(vocabulary)))
    for place in range(counts.shape[1]):
        ids = np.flatnonzero(counts[:, place].any(0))
        # The BOS stands at 0, a report's first word at 1.
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
        often = np.flatnonzero((totals[kind] >= FEWEST) & meant)
        means = sums[row, often] / totals[kind, often]
        found.append(
            tuple(
                NearWord(text=texts[often[k]], cosine=round(float(means[k]), 4), count=int(totals[kind, often[k]]))
                for k in np.argsort(-means, kind="stable")[:num_words]
            )
        )
    return found


def _ids(words: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Return the ids between BOS and EOS or padding."""
    ends = (vocabulary.eos, vocabulary.padding)
    return list(takewhile(lambda number: number not in ends, words[1:]))
