"""AUROC, its mean and interval, and calibration."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.scores import _drawn_areas, calibration_error, finding_scores, mean_auroc, mean_auroc_interval

EDEMA, NO_FINDING = FINDINGS.index("Edema"), FINDINGS.index("No Finding")


def _targets(studies: int) -> np.ndarray:
    return np.zeros((studies, len(FINDINGS)), np.float32)


def test_auroc_counts_pairs_in_order_and_leaves_unknown_studies_out() -> None:
    targets, logits = _targets(5), np.zeros((5, len(FINDINGS)))
    targets[:, EDEMA] = [1, 1, 0, 0, np.nan]
    logits[:, EDEMA] = [3, 1, 2, 0, 9]
    score = finding_scores(logits, targets)[EDEMA]
    assert (score.positives, score.negatives, score.auroc) == (2, 2, 0.75)
    assert finding_scores(logits, targets)[0].auroc is None


def test_the_mean_counts_abnormal_findings_with_enough_studies() -> None:
    targets, logits = _targets(30), np.random.default_rng(0).normal(size=(30, len(FINDINGS)))
    targets[:12, EDEMA], targets[:3, 0], targets[:20, NO_FINDING] = 1, 1, 1
    logits[:, EDEMA] += 10 * targets[:, EDEMA]
    scores = finding_scores(logits, targets)
    assert mean_auroc(scores) == 1.0
    assert mean_auroc(scores, fewest=1) == pytest.approx((1.0 + scores[0].auroc) / 2)
    assert mean_auroc(scores, fewest=13) is None


def test_the_interval_holds_the_mean_and_narrows_with_studies() -> None:
    def width(studies: int) -> float:
        random = np.random.default_rng(1)
        targets, logits = _targets(studies), random.normal(size=(studies, len(FINDINGS)))
        targets[::3, EDEMA] = 1
        logits[:, EDEMA] += targets[:, EDEMA]
        low, high = mean_auroc_interval(logits, targets)
        assert low < mean_auroc(finding_scores(logits, targets)) < high
        return high - low

    assert width(400) < 0.7 * width(60)
    assert mean_auroc_interval(np.zeros((3, len(FINDINGS))), _targets(3)) is None


def test_right_probabilities_have_no_calibration_error() -> None:
    targets = _targets(10)
    targets[:5, EDEMA] = 1
    right = np.zeros((10, len(FINDINGS)))
    right[:, EDEMA] = 0.5
    assert calibration_error(right, targets) == 0
    wrong = right.copy()
    wrong[:, EDEMA] = 0.9
    assert calibration_error(wrong, targets) == pytest.approx(0.4 / 13)
    targets[:, EDEMA] = np.nan
    assert calibration_error(wrong, targets) == 0


def test_drawn_areas_are_those_of_the_drawn_studies() -> None:
    random = np.random.default_rng(3)
    logits = random.integers(0, 4, 20).astype(float)
    targets = (random.random(20) < 0.4).astype(np.float32)
    targets[5] = np.nan
    drawn = random.multinomial(20, np.full(20, 0.05), 7)
    for counts, area in zip(drawn, _drawn_areas(logits, targets, drawn), strict=True):
        chosen = np.repeat(np.arange(20), counts)
        chosen = chosen[~np.isnan(targets[chosen])]
        assert area == pytest.approx(roc_auc_score(targets[chosen], logits[chosen]))
    assert np.isnan(_drawn_areas(logits, targets, np.eye(20, dtype=int)[:1])).all()
