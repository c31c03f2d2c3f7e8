"""The findings that come with predictions are scored by themselves, by their ranks and by their thresholds."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from xpronet.evaluation.head_scores import head_scores
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.render import scorecard_markdown
from xpronet.evaluation.scoring import score
from xpronet.labels.findings import ABNORMALITIES, FINDINGS

STUDIES = 120
RANDOM = np.random.default_rng(3)
THERE = (RANDOM.random((STUDIES, len(FINDINGS))) < 0.3).astype(np.float32)
# No Finding is what remains.
THERE[:, FINDINGS.index("No Finding")] = THERE[:, : len(ABNORMALITIES)].sum(1) == 0
SAID = np.clip(0.3 * THERE + RANDOM.random(THERE.shape).round(1) * 0.7, 0, 1)


def predictions() -> list[Prediction]:
    return [
        Prediction(
            id=str(number),
            report="No edema.",
            reference="No edema.",
            present=tuple(name for name, value in zip(FINDINGS, row, strict=True) if value >= 0.5),
            probabilities=dict(zip(FINDINGS, map(float, row), strict=True)),
        )
        for number, row in enumerate(SAID)
    ]


def test_scores_are_those_of_scikit_learn() -> None:
    scores = head_scores(predictions(), THERE)
    assert scores is not None
    columns = range(len(ABNORMALITIES))
    areas = [roc_auc_score(THERE[:, column], SAID[:, column]) for column in columns]
    assert [row.auroc for row in scores.findings[: len(ABNORMALITIES)]] == pytest.approx(areas)
    assert scores.auroc is not None
    assert scores.macro_f1 is not None
    assert scores.auroc.value == pytest.approx(np.mean(areas))
    assert scores.auroc.low < scores.auroc.value < scores.auroc.high
    each = [f1_score(THERE[:, column], SAID[:, column] >= 0.5) for column in columns]
    assert scores.macro_f1.value == pytest.approx(np.mean(each))
    assert [row.present for row in scores.findings] == THERE.sum(0).astype(int).tolist()


def test_findings_without_probabilities_are_not_scored() -> None:
    bare = [Prediction(id="1", report="No edema.", reference="No edema.", present=("Edema",))]
    assert head_scores(bare, THERE[:1]) is None


def test_the_scorecard_shows_them() -> None:
    page = scorecard_markdown(score(predictions(), protocol="full-text", with_meteor=False))
    assert "## The model's findings without its text" in page
    assert "| mean (AUROC), macro of 13 (F1) |" in page
