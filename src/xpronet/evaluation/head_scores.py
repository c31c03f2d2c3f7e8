"""What the model's findings are worth by themselves, without its text: AUROC, and F1 of those that it calls present."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xpronet.evaluation.finding_f1 import MAIN, Labels, agreement, finding_statistics, present_labels, whole_numbers
from xpronet.evaluation.intervals import Estimate, intervals
from xpronet.evaluation.prediction_files import Prediction
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.scores import finding_scores, mean_auroc, mean_auroc_interval


@dataclass(frozen=True, kw_only=True)
class HeadScore:
    """One finding, as the model's findings head gives it."""

    finding: str
    """Its name."""
    present: int
    """Studies that have it."""
    predicted: int
    """Studies that the model gives it."""
    auroc: float | None
    """Area under the ROC curve of its probabilities; None without studies of both kinds."""
    f1: Estimate | None
    """Of what the model calls present; None where neither side has the finding."""


@dataclass(frozen=True, kw_only=True)
class HeadScores:
    """The findings that came with the predictions, against those that are there."""

    findings: tuple[HeadScore, ...]
    """Each of `FINDINGS`."""
    auroc: Estimate | None
    """Mean over the abnormal findings with ten studies or more of both kinds; None where there is none."""
    macro_f1: Estimate | None
    """Macro-F1 of 13 of what the model calls present; None where neither side has any finding."""


def head_scores(predictions: Sequence[Prediction], truth: Labels, *, seed: int = 0) -> HeadScores | None:
    """Score the findings in predictions; None where a prediction has none.

    Args:
        predictions: one a study.
        truth: the findings that are there; NaN is left out.
        seed: of the resamples.
    """
    said, named = [], []
    for one in predictions:
        if one.probabilities is None or one.present is None or not set(FINDINGS) <= one.probabilities.keys():
            return None
        said.append([one.probabilities[name] for name in FINDINGS])
        named.append(one.present)
    probabilities = np.array(said, dtype=np.float64)
    targets = truth.astype(np.float32)
    predicted = present_labels(named)
    f1 = intervals(finding_statistics(truth, predicted), seed=seed)
    areas = finding_scores(probabilities, targets)
    mean, ends = mean_auroc(areas), mean_auroc_interval(probabilities, targets, seed=seed)
    counts = agreement(whole_numbers(truth), whole_numbers(predicted), FINDINGS).per_finding
    return HeadScores(
        findings=tuple(
            HeadScore(
                finding=count.finding,
                present=count.present,
                predicted=count.predicted,
                auroc=area.auroc,
                f1=f1.get(count.finding),
            )
            for count, area in zip(counts, areas, strict=True)
        ),
        auroc=None if mean is None or ends is None else Estimate(value=mean, low=ends[0], high=ends[1]),
        macro_f1=f1.get(MAIN),
    )
