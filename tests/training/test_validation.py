"""Calibrated probabilities are frequencies, and the order of the studies stays."""

import numpy as np
import pytest

from xpronet.training.validation import MIN_SCALE, calibrated, fit_calibration


def drawn(seed: int, scale: float, shift: float, studies: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels whose true logits are scale · logit + shift."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (studies, 1))
    return logits, random.random((studies, 1)) < 1 / (1 + np.exp(-scale * logits - shift))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, -1.0), (2.0, 0.5)])
def test_a_known_distortion_is_found(scale: float, shift: float) -> None:
    logits, labels = drawn(1, scale, shift)
    assert fit_calibration(logits, labels)[:, 0] == pytest.approx([scale, shift], abs=0.15)


def test_probabilities_become_frequencies() -> None:
    logits, labels = drawn(2, 0.3, -0.5)
    fresh, truth = drawn(3, 0.3, -0.5)
    said = calibrated(fresh, fit_calibration(logits, labels))
    confident = said > 0.5
    assert truth[confident].mean() == pytest.approx(said[confident].mean(), abs=0.05)
    raw = calibrated(fresh, np.array([[1.0], [0.0]]))
    assert abs(truth[raw > 0.9].mean() - raw[raw > 0.9].mean()) > 0.1


def test_where_nothing_can_be_learned_little_changes() -> None:
    logits = np.random.default_rng(4).normal(-4, 0.5, (10, 2))
    labels = np.zeros((10, 2), bool)
    scale, shift = fit_calibration(logits, labels)
    assert scale == pytest.approx([1.0, 1.0], abs=0.5)
    assert shift == pytest.approx([0.0, 0.0], abs=0.5)
    assert fit_calibration(np.zeros((0, 3)), np.zeros((0, 3), bool)).tolist() == [[1.0] * 3, [0.0] * 3]


def test_the_order_stays_also_where_the_head_is_wrong() -> None:
    logits, labels = drawn(5, -1.0, 0.3)
    calibration = fit_calibration(logits, labels)
    assert calibration[0, 0] == MIN_SCALE
    said = calibrated(logits, calibration)[:, 0]
    assert (np.argsort(said) == np.argsort(logits[:, 0])).all()
    assert said.mean() == pytest.approx(labels.mean(), abs=0.02)


def test_separable_and_huge_logits_do_not_run_away() -> None:
    logits = np.array([[-800.0], [-500.0], [500.0], [800.0]])
    calibration = fit_calibration(logits, logits > 0)
    assert np.isfinite(calibration).all()
    assert np.isfinite(calibrated(logits, calibration)).all()
