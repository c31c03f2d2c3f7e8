"""Thresholds are those of the best F1 where many studies have a finding, and of the expected one where few do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xpronet.training.validation import DEFAULT_THRESHOLD, THRESHOLD_PRIOR, best_thresholds

STUDIES = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=20)


def f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the F1 of predictions against labels, which may be shares."""
    return float(2 * labels[predicted].sum() / max(1e-9, predicted.sum() + labels.sum()))


@given(STUDIES)
def test_no_other_threshold_is_expected_to_be_better(studies: list[tuple[int, bool]]) -> None:
    probabilities = np.array([[rank / 10] for rank, _ in studies])
    labels = np.array([[label] for _, label in studies])
    if not labels.any():
        assert best_thresholds(probabilities, labels) == DEFAULT_THRESHOLD
        return
    chosen = best_thresholds(probabilities, labels)
    prior = THRESHOLD_PRIOR / (THRESHOLD_PRIOR + labels.sum())
    expected = (1 - prior) * labels + prior * probabilities
    best = f1(probabilities >= chosen, expected)
    for other in np.linspace(-0.05, 1.05, 23):
        assert best >= f1(probabilities >= other, expected) - 1e-6


@given(STUDIES)
def test_many_studies_decide_by_themselves(studies: list[tuple[int, bool]]) -> None:
    probabilities = np.repeat([[rank / 10] for rank, _ in studies], 2000, axis=0)
    labels = np.repeat([[label] for _, label in studies], 2000, axis=0)
    chosen = best_thresholds(probabilities, labels)
    best = f1(probabilities >= chosen, labels)
    for other in np.linspace(-0.05, 1.05, 23):
        assert best >= f1(probabilities >= other, labels) - 0.02


def test_one_improbable_study_does_not_make_a_finding_common() -> None:
    probabilities = np.linspace(0.001, 0.02, 200)[:, None]
    labels = np.zeros((200, 1), bool)
    labels[60] = True
    assert (probabilities >= best_thresholds(probabilities, labels)).mean() < 0.5
    # The highest F1 of these studies alone would give the finding to 140 of 200.


def test_a_finding_that_is_never_there_stays_undecided() -> None:
    assert best_thresholds(np.array([[0.2], [0.9]]), np.zeros((2, 1), bool))[0] == DEFAULT_THRESHOLD
