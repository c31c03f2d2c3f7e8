"""One definition of macro-F1, used while training and by scorecards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xpronet.evaluation.finding_f1 import agreement, finding_statistics
from xpronet.labels.f1 import ABNORMAL_COLUMNS, abnormality_f1, f1_scores, macro_f1
from xpronet.labels.findings import ABNORMALITIES, FINDINGS

NO_FINDING = FINDINGS.index("No Finding")
TABLES = st.integers(1, 8).flatmap(
    lambda studies: st.tuples(*(arrays(bool, (studies, len(FINDINGS))) for _ in range(2)))
)


def test_macro_f1_by_hand() -> None:
    truth, predicted = np.zeros((2, 3, len(FINDINGS)), bool)
    first, second = (FINDINGS.index(name) for name in ("Edema", "Fracture"))
    truth[:, first], predicted[:, first] = [True, False, True], [True, True, False]
    truth[:, second], predicted[:, second] = [False, True, False], [False, True, False]
    # One hit of two predicted and two true, F1 = 1/2; the other finding 1; eleven are on neither side; No Finding never
    # counts.
    truth[:, NO_FINDING] = True
    assert abnormality_f1(truth, predicted) == 0.75


def test_a_finding_that_is_missed_or_made_up_counts_as_zero() -> None:
    assert f1_scores(np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.0, 2.0])).tolist() == [0.0, 0.0]
    assert macro_f1(np.array([1.0, 0.0, np.nan])) == 0.5


def test_nothing_to_average_is_no_score() -> None:
    assert abnormality_f1(*np.zeros((2, 5, len(FINDINGS)), bool)) is None
    assert abnormality_f1(*np.zeros((2, 0, len(FINDINGS)), bool)) is None
    assert np.isnan(macro_f1(np.array([np.nan, np.nan])))


def test_the_abnormalities_are_all_but_no_finding() -> None:
    assert [FINDINGS[column] for column in ABNORMAL_COLUMNS] == list(ABNORMALITIES)
    assert len(ABNORMAL_COLUMNS) == 13


@given(TABLES)
def test_validation_agreement_and_scorecards_say_the_same(tables: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = tables
    score = abnormality_f1(truth, predicted)
    compared = agreement(
        truth[:, ABNORMAL_COLUMNS].astype(np.int64), predicted[:, ABNORMAL_COLUMNS].astype(np.int64), ABNORMALITIES
    )
    statistics = finding_statistics(truth.astype(np.float32), predicted.astype(np.float32))
    scored = statistics.score(statistics.values.sum(axis=0, keepdims=True))["macro-F1 of 13"][0]
    if score is None:
        assert compared.macro.f1 is None
        assert np.isnan(scored)
    else:
        assert compared.macro.f1 == score == pytest.approx(scored)
