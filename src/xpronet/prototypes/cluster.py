"""Cluster the features of the studies that have a finding into its prototypes (paper, eq. 4 to 7)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32
from sklearn.cluster import KMeans

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.features import StudyFeatures

Samples = Float32[np.ndarray, "samples width"]
Centres = Float32[np.ndarray, "centres width"]


@dataclass(frozen=True, kw_only=True)
class PrototypeSettings:
    """How features become prototypes."""

    per_finding: int = 20
    """N_p: prototypes of each finding."""
    mode: Literal["union", "split"] = "union"
    """Cluster images and mirror images together (paper), or each into half of the prototypes (published code)."""
    normalise: bool = True
    """Scale image and text features to length 1 first, so that both have the same weight in a distance."""
    seed: int = 0
    """Seed of the initial centres."""
    max_iterations: int = 100
    """Iterations of k-means."""
    restarts: int = 10
    """Runs of k-means from other initial centres; the one with the least inertia is taken."""

    def __post_init__(self) -> None:
        for name in ("per_finding", "max_iterations", "restarts"):
            if getattr(self, name) < 1:
                raise InputError(f"prototypes.{name} = {getattr(self, name)}: must be at least 1")
        if self.mode not in ("union", "split"):
            raise InputError(f"prototypes.mode = {self.mode!r}: choose union or split")
        if self.mode == "split" and self.per_finding % 2:
            raise InputError(
                f"prototypes.per_finding = {self.per_finding}: must be even where prototypes.mode is split"
            )


def cluster_findings(
    features: StudyFeatures,
    labels: Float[np.ndarray, "studies findings"],
    settings: PrototypeSettings,
    *,
    track: Tracker = silent,
) -> PrototypeBank:
    """Make the bank: for each finding, the means of the clusters of its positive studies.

    A finding's rows are in the order of cluster size, largest first (mode split: images, then mirror images). A finding
    with no more distinct samples than clusters has each sample once, and the mean of its samples in the remaining rows;
    a finding without any study has the mean of all studies in every row. Both are noted in the bank.

    Args:
        features: of the train studies.
        labels: 1 where a study has the finding, in the order of `FINDINGS`; anything else, NaN too, means that it is
            no example of it.
        settings: how to cluster.
        track: shows progress.
    """
    assert labels.shape == (len(features.ids), len(FINDINGS)), "one row of labels for each study"
    originals = _joined(features.original, features.text, settings.normalise)
    mirrors = _joined(features.mirrored, features.text, settings.normalise)
    counts: dict[str, int] = {}
    notes: list[str] = []
    prototypes: list[Centres] = []
    for column, finding in enumerate(track(FINDINGS, "Cluster findings", len(FINDINGS))):
        positive = labels[:, column] == 1
        counts[finding] = int(positive.sum())
        if not counts[finding]:
            mean = _mean(np.concatenate([originals, mirrors]))
            prototypes.append(np.repeat(mean, settings.per_finding, axis=0))
            notes.append(f"{finding}: no study has it; its prototypes are the mean of all studies")
            continue
        groups = [originals[positive], mirrors[positive]]
        if settings.mode == "union":
            groups = [np.concatenate(groups)]
        rows = settings.per_finding // len(groups)
        clustered = [_clusters(group, rows, settings) for group in groups]
        prototypes += [_filled(centres, group, rows) for centres, group in zip(clustered, groups, strict=True)]
        missing = settings.per_finding - sum(map(len, clustered))
        if missing:
            notes.append(
                f"{finding}: too few different studies ({counts[finding]} in all) for {settings.per_finding} "
                f"clusters; {missing} of its prototypes are their mean"
            )
    return PrototypeBank(
        vectors=np.concatenate(prototypes),
        image_width=features.original.shape[1],
        per_finding=settings.per_finding,
        counts=counts,
        image_encoder=features.image_encoder,
        text_encoder=features.text_encoder,
        images=features.images,
        seed=settings.seed,
        notes=tuple(notes),
    )


def random_bank(*, image_width: int, text_width: int, per_finding: int = 20, seed: int = 0) -> PrototypeBank:
    """Draw a bank from a normal distribution of variance 1 / width: the ablation without prototype initialisation.

    The expected length of a row is 1, that of a normalised feature.
    """
    width = image_width + text_width
    rng = np.random.default_rng(seed)
    vectors = rng.normal(scale=width**-0.5, size=(len(FINDINGS) * per_finding, width)).astype(np.float32)
    return PrototypeBank(
        vectors=vectors,
        image_width=image_width,
        per_finding=per_finding,
        counts=dict.fromkeys(FINDINGS, 0),
        image_encoder="none",
        text_encoder="none",
        images={},
        seed=seed,
        notes=("the prototypes are random numbers; no study was seen",),
    )


def _joined(
    image: Float32[np.ndarray, "studies image_width"], text: Float32[np.ndarray, "studies text_width"], normalise: bool
) -> Float32[np.ndarray, "studies width"]:
    """Join image and text features to cross-modal ones: r of eq. 6."""
    return np.concatenate([_normalised(image), _normalised(text)] if normalise else [image, text], axis=1)


def _normalised(features: Samples) -> Samples:
    """Scale each row to length 1; a row of zeros, that of a report without a known word, stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths == 0, 1, lengths)


def _clusters(samples: Samples, number: int, settings: PrototypeSettings) -> Centres:
    """Return the means of `number` clusters, largest first; the distinct samples where there are no more of them."""
    different = _different(samples, number)
    if len(different) <= number:
        return different
    clustering = KMeans(
        number,
        init="k-means++",
        n_init=settings.restarts,
        max_iter=settings.max_iterations,
        random_state=settings.seed,
        algorithm="lloyd",
    ).fit(samples)
    members = clustering.labels_
    sizes = np.bincount(members, minlength=number)
    # Means are computed again in a fixed order, since those of k-means depend on the number of threads.
    return np.concatenate([_mean(samples[members == cluster]) for cluster in np.argsort(-sizes, kind="stable")])


def _different(samples: Samples, enough: int) -> Float32[np.ndarray, "different width"]:
    """Return the distinct samples, in order, or the first `enough` + 1 of them where there are more."""
    first: dict[bytes, int] = {}
    for row, sample in enumerate(samples):
        first.setdefault(sample.tobytes(), row)
        if len(first) > enough:
            break
    return samples[list(first.values())]


def _filled(centres: Centres, samples: Samples, rows: int) -> Float32[np.ndarray, "{rows} width"]:
    """Fill up to `rows` prototypes with the mean of the samples."""
    return np.concatenate([centres, np.repeat(_mean(samples), rows - len(centres), axis=0)])


def _mean(samples: Samples) -> Float32[np.ndarray, "1 width"]:
    mean: np.ndarray = samples.mean(axis=0, keepdims=True, dtype=np.float64)
    return mean.astype(np.float32)
