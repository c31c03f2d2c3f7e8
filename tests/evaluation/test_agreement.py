import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import cohen_kappa_score, f1_score, precision_recall_fscore_support

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import (
    DEFINITIONS,
    Agreement,
    FindingAgreement,
    agreement,
    disagreements,
    table_agreement,
)
from xpronet.labels.findings import FINDINGS, State

shapes = st.tuples(st.integers(1, 12), st.integers(1, 5))
pairs = shapes.flatmap(
    lambda shape: st.tuples(*[npst.arrays(np.int64, shape, elements=st.integers(0, 1)) for _ in range(2)])
)


def names(matrix: np.ndarray) -> list[str]:
    return list(FINDINGS[: matrix.shape[1]])


@given(pairs)
def test_every_number_is_that_of_the_plain_definition(pair):
    truth, predicted = pair
    found = agreement(truth, predicted, names(truth))
    for column, row in enumerate(found.per_finding):
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth[:, column], predicted[:, column], average="binary", zero_division=0
        )
        assert row.precision == pytest.approx(precision) if row.predicted else row.precision is None
        assert row.recall == pytest.approx(recall) if row.present else row.recall is None
        if row.f1 is None:
            assert not row.present
            assert not row.predicted
        else:
            assert row.f1 == pytest.approx(f1)
        if len({*truth[:, column], *predicted[:, column]}) == 2:
            assert row.kappa == pytest.approx(cohen_kappa_score(truth[:, column], predicted[:, column]))
    if truth.any() or predicted.any():
        micro = f1_score(truth.ravel(), predicted.ravel(), zero_division=0)
        assert found.micro.f1 == pytest.approx(micro)
        seen = [row.f1 for row in found.per_finding if row.f1 is not None]
        assert found.macro.f1 == pytest.approx(np.mean(seen))
    each = [
        1.0 if not (one.any() or other.any()) else 2 * (one & other).sum() / (one.sum() + other.sum())
        for one, other in zip(truth, predicted, strict=True)
    ]
    assert found.example.f1 == pytest.approx(np.mean(each))


@given(pairs)
def test_swapping_sides_swaps_precision_and_recall(pair):
    truth, predicted = pair
    there, back = agreement(truth, predicted, names(truth)), agreement(predicted, truth, names(truth))
    for one, other in zip(there.per_finding, back.per_finding, strict=True):
        assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, other.f1)
    assert (there.micro.precision, there.micro.f1) == (back.micro.recall, back.micro.f1)


@given(pairs)
def test_ignored_entries_count_nowhere(pair):
    truth, predicted = pair
    masked = truth.copy()
    masked[0, 0] = -1
    plain = (
        agreement(np.delete(truth, 0, axis=0), np.delete(predicted, 0, axis=0), names(truth))
        if len(truth) > 1
        else None
    )
    found = agreement(masked, predicted, names(truth)).per_finding[0]
    if plain is not None:
        assert found == plain.per_finding[0]
    else:
        assert (found.present, found.predicted) == (0, 0)


def test_perfect_agreement_and_its_opposite():
    truth = np.array([[1, 0], [0, 1]])
    assert agreement(truth, truth, ["a", "b"]).micro.f1 == 1
    assert agreement(truth, 1 - truth, ["a", "b"]).per_finding[0].kappa == -1


def test_the_record_is_json():
    truth = np.zeros((2, 2), dtype=np.int64)
    record = json.loads(json.dumps(agreement(truth, truth, ["a", "b"]).record()))
    assert record["micro"] == {"precision": None, "recall": None, "f1": None}
    assert record["example"]["f1"] == 1
    assert [row["finding"] for row in record["per_finding"]] == ["a", "b"]


def row(agreement: Agreement, finding: str) -> FindingAgreement:
    return next(one for one in agreement.per_finding if one.finding == finding)


def test_tables_are_collapsed_alike():
    truth = {"s": {"Edema": State.POSITIVE}, "t": {"Edema": State.UNCERTAIN}}
    predicted = {"t": {"Edema": State.NEGATIVE}, "s": {"Edema": State.UNCERTAIN}}
    assert row(table_agreement(truth, predicted), "Edema").hits == 1
    assert row(table_agreement(truth, predicted), "Edema").present == 2
    assert row(table_agreement(truth, predicted, uncertain="negative"), "Edema").present == 1
    ignoring = table_agreement(truth, predicted, uncertain="ignore")
    assert (row(ignoring, "Edema").present, row(ignoring, "Edema").predicted) == (0, 0)
    assert disagreements(truth, predicted, "Edema") == ([], ["t"])
    assert disagreements(predicted, truth, "Edema") == (["t"], [])


def test_definitions_have_their_number_of_findings():
    assert {int(name): len(findings) for name, findings in DEFINITIONS.items()} == {14: 14, 13: 13, 5: 5}


def test_no_studies():
    with pytest.raises(InputError, match="no study"):
        agreement(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2), dtype=np.int64), ["a", "b"])
