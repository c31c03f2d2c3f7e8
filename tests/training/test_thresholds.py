"""Thresholds are those of the best F1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xpronet.training.validation import DEFAULT_THRESHOLD, best_thresholds

STUDIES = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=20)


def f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float(2 * (predicted & labels).sum() / max(1, predicted.sum() + labels.sum()))


@given(STUDIES)
def test_no_other_threshold_is_better(studies: list[tuple[int, bool]]) -> None:
    probabilities = np.array([[rank / 10] for rank, _ in studies], np.float32)
    labels = np.array([[label] for _, label in studies])
    chosen = best_thresholds(probabilities, labels)
    best = f1(probabilities >= chosen, labels)
    for other in np.linspace(-0.05, 1.05, 23, dtype=np.float32):
        assert best >= f1(probabilities >= other, labels) - 1e-6


def test_a_finding_that_is_never_there_stays_undecided() -> None:
    assert best_thresholds(np.array([[0.2], [0.9]]), np.zeros((2, 1), bool))[0] == DEFAULT_THRESHOLD
