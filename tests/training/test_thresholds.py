"""Thresholds are those of the best F1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xpronet.training.validation import UNDECIDED, best_thresholds, macro_f1

STUDIES = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=20)


@given(STUDIES)
def test_no_other_threshold_is_better(studies: list[tuple[int, bool]]) -> None:
    probabilities = np.array([[rank / 10] for rank, _ in studies], np.float32)
    labels = np.array([[label] for _, label in studies])
    chosen = best_thresholds(probabilities, labels)
    best = macro_f1(probabilities, labels, chosen)
    for other in np.linspace(-0.05, 1.05, 23, dtype=np.float32):
        assert best >= macro_f1(probabilities, labels, np.array([other])) - 1e-6


def test_a_finding_that_is_never_there_stays_undecided() -> None:
    assert best_thresholds(np.array([[0.2], [0.9]]), np.zeros((2, 1), bool))[0] == UNDECIDED


def test_macro_f1_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.2]])
    labels = np.array([[True, False], [False, True], [True, False]])
    # First finding: one hit of two predicted and two true, F1 = 1/2; second: 1.
    assert macro_f1(probabilities, labels, np.array([0.5, 0.5])) == 0.75
