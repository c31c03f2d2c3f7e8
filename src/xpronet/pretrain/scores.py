"""How well logits tell studies with a finding from those without it, and how far probabilities are from frequencies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int
from sklearn.metrics import roc_auc_score

from xpronet.labels.findings import ABNORMALITIES, FINDINGS

FEWEST = 10
"""Positive studies that a finding needs to count in a mean."""
DRAWS = 1000
"""Of studies, with replacement, for an interval."""
DRAWS_AT_ONCE = 250
"""250 x 30,000 studies are 60 MB."""
BINS = 10
"""Of the calibration error, of equal width."""


@dataclass(frozen=True, kw_only=True)
class FindingMeasure:
    """One finding."""

    finding: str
    positives: int
    """Studies that have it."""
    negatives: int
    """Studies that are known not to have it."""
    auroc: float | None
    """Area under the ROC curve; None without studies of both kinds."""


def finding_scores(
    logits: Float[np.ndarray, "studies findings"], targets: Float32[np.ndarray, "studies findings"]
) -> list[FindingMeasure]:
    """Return the score of each of `FINDINGS`; unknown labels (NaN) are left out."""
    return [_finding_score(name, logits[:, column], targets[:, column]) for column, name in enumerate(FINDINGS)]


def _finding_score(
    name: str, logits: Float[np.ndarray, " studies"], targets: Float32[np.ndarray, " studies"]
) -> FindingMeasure:
    known = ~np.isnan(targets)
    positives, negatives = int((targets == 1).sum()), int((targets == 0).sum())
    area = float(roc_auc_score(targets[known], logits[known])) if positives and negatives else None
    return FindingMeasure(finding=name, positives=positives, negatives=negatives, auroc=area)


def mean_auroc(scores: Sequence[FindingMeasure], *, fewest: int = FEWEST) -> float | None:
    """Return the mean over the abnormal findings with enough studies of both kinds; None where there is none."""
    areas = [
        score.auroc
        for score in scores
        if score.finding in ABNORMALITIES
        and score.auroc is not None
        and min(score.positives, score.negatives) >= fewest
    ]
    return float(np.mean(areas)) if areas else None


def mean_auroc_interval(
    logits: Float[np.ndarray, "studies findings"],
    targets: Float32[np.ndarray, "studies findings"],
    *,
    fewest: int = FEWEST,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the central 95 % of the mean AUROC over studies drawn with replacement; the findings stay the same."""
    counted = [
        FINDINGS.index(score.finding)
        for score in finding_scores(logits, targets)
        if score.finding in ABNORMALITIES and min(score.positives, score.negatives) >= fewest
    ]
    if not counted:
        return None
    random, shares = np.random.default_rng(seed), np.full(len(logits), 1 / len(logits))
    blocks = (random.multinomial(len(logits), shares, size=DRAWS_AT_ONCE) for _ in range(DRAWS // DRAWS_AT_ONCE))
    areas = np.concatenate(
        [[_drawn_areas(logits[:, column], targets[:, column], drawn) for column in counted] for drawn in blocks], axis=1
    )
    areas = areas[:, ~np.isnan(areas).all(axis=0)]
    if not areas.size:
        return None
    low, high = np.quantile(np.nanmean(areas, axis=0), (0.025, 0.975))
    return float(low), float(high)


def _drawn_areas(
    logits: Float[np.ndarray, " studies"],
    targets: Float32[np.ndarray, " studies"],
    drawn: Int[np.ndarray, "draws studies"],
) -> Float[np.ndarray, " draws"]:
    """Return the AUROC of each draw, given how often each study was drawn; NaN where a kind of study was not."""
    known = np.flatnonzero(~np.isnan(targets))
    known = known[np.argsort(logits[known], kind="stable")]
    # Studies with equal logits are one step of the ROC curve.
    steps = np.flatnonzero(np.diff(logits[known], prepend=-np.inf) > 0)
    present = targets[known] == 1
    positives = np.add.reduceat(np.where(present, drawn[:, known], 0), steps, axis=1)
    negatives = np.add.reduceat(np.where(present, 0, drawn[:, known]), steps, axis=1)
    wins = (positives * (negatives.cumsum(axis=1) - 0.5 * negatives)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(drawn), np.nan), where=pairs > 0)


def calibration_error(
    probabilities: Float[np.ndarray, "studies findings"], targets: Float32[np.ndarray, "studies findings"]
) -> float:
    """Return the expected calibration error over all pairs of a study and an abnormal finding, in ten equal bins."""
    columns = len(ABNORMALITIES)
    said, there = probabilities[:, :columns].ravel(), targets[:, :columns].ravel()
    known = ~np.isnan(there)
    said, there = said[known], there[known]
    bins = np.clip((said * BINS).astype(int), 0, BINS - 1)
    gaps = [abs(said[bins == number].sum() - there[bins == number].sum()) for number in range(BINS)]
    return float(np.sum(gaps) / max(1, len(said)))
