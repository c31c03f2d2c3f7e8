"""Right probabilities have little calibration error, and wrong ones as much as they are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from xpronet.errors import InputError
from xpronet.evaluation.calibration import BINS, calibration, calibration_error
from xpronet.evaluation.prediction_files import Prediction, read_predictions
from xpronet.evaluation.render import scorecard_markdown
from xpronet.evaluation.scoring import score
from xpronet.labels.findings import ABNORMALITIES, FINDINGS


def predictions(said: np.ndarray) -> list[Prediction]:
    return [
        Prediction(
            id=str(number),
            report="No edema.",
            reference="No edema.",
            probabilities=dict(zip(FINDINGS, map(float, row), strict=True)),
        )
        for number, row in enumerate(said)
    ]


def drawn(distortion: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and labels that are there as often as the probability to that power."""
    random = np.random.default_rng(1)
    said = random.random((600, len(FINDINGS)))
    return said, (random.random(said.shape) < said**distortion).astype(np.float32)


def test_frequencies_have_little_error() -> None:
    said, there = drawn()
    found = calibration(predictions(said), there)
    assert found is not None
    assert found.overall.error.value < 0.02
    assert found.overall.error.value == pytest.approx(found.overall.by_chance, abs=0.01)
    assert sum(one.cases for one in found.overall.bins) == 600 * len(ABNORMALITIES)
    # Few cases look uncalibrated by chance alone, which is said beside them.
    assert all(row.by_chance > 2 * found.overall.by_chance for row in found.findings)
    assert [row.finding for row in found.findings] == list(ABNORMALITIES)


def test_wrong_probabilities_are_seen() -> None:
    said, there = drawn(distortion=3.0)
    found = calibration(predictions(said), there)
    assert found is not None
    # The mean of p - p³ over 0..1 is 1/4.
    assert found.overall.error.value == pytest.approx(0.25, abs=0.02)
    assert found.overall.error.low > 0.2
    for one in found.overall.bins:
        assert one.said is not None
        assert one.seen is not None
        assert one.low <= one.said <= one.high
        assert one.seen < one.said + 0.05


def test_the_error_by_hand_and_in_resamples() -> None:
    said = np.array([[0.05, 0.95], [0.05, 0.95], [1.0, 0.0]])
    there = np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 0.0]])
    statistics = calibration_error(said, there)
    assert statistics.values.shape == (3, 3 * BINS)
    # Lowest bin: 0.05, 0.05, 0.0 said and one of three seen; highest: 0.95, 1.0 said and both seen; five cases.
    assert statistics.totals()["ECE"] == pytest.approx((abs(0.1 - 1) + abs(1.95 - 2)) / 5)
    weights = np.array([[2.0, 0.0, 1.0]])
    again = calibration_error(said[[0, 0, 2]], there[[0, 0, 2]]).totals()["ECE"]
    assert statistics.weighted(weights)["ECE"][0] == pytest.approx(again, abs=1e-12)


def test_a_model_without_probabilities_has_no_curve() -> None:
    said, there = drawn()
    without = Prediction(id="x", report="a", reference="b")
    assert calibration([*predictions(said[:5]), without], there[:6]) is None


def test_the_scorecard_shows_it() -> None:
    said, _ = drawn()
    page = scorecard_markdown(score(predictions(said[:40]), with_meteor=False))
    assert "calibration error" in page
    assert "| all findings |" in page


def test_probabilities_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"

    def read(probability: object) -> Prediction:
        finding = {"name": "Edema", "present": True, "probability": probability}
        path.write_text(json.dumps({"id": "a", "report": "b", "reference": "c", "findings": [finding]}))
        return read_predictions(path)[0]

    assert read(0.25).probabilities == {"Edema": 0.25}
    for wrong in (1.5, "high", None):
        with pytest.raises(InputError, match="0 to 1"):
            read(wrong)
