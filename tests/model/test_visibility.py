"""Which findings' prototypes a study may query."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.model.visibility import present_findings

THRESHOLDS = torch.tensor([0.5, 0.2, 0.9])


def test_a_finding_is_present_from_its_threshold_on():
    probabilities = torch.tensor([[0.5, 0.1, 0.0], [0.4, 0.2, 0.99], [0.4, 0.1, 0.0]])
    expected = [[True, False, False], [False, True, False], [False, False, True]]
    assert present_findings(probabilities, THRESHOLDS, 2).tolist() == expected


@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=5), st.integers(0, 2))
def test_every_study_has_a_finding_or_none(rows, column):
    present = present_findings(torch.tensor(rows), THRESHOLDS, column)
    others = present.sum(1) - present[:, column].long()
    assert present[:, column].equal(others == 0)
