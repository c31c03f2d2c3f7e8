"""Which findings' prototypes a study may query."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.model.visibility import Trust, draw_trust, present_findings, share_of_trust

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


def test_the_share_grows_from_none_to_the_goal():
    shares = [share_of_trust(0.8, step=step, steps=5) for step in range(5)]
    assert shares[0] == 0
    assert shares[-1] == 0.8
    assert shares == sorted(shares)
    assert share_of_trust(0.8, step=0, steps=1) == 0


def test_trust_is_drawn_in_its_share_and_from_the_seed():
    torch.manual_seed(3)
    first = draw_trust(4000, 0.25, THRESHOLDS, 2)
    assert 0.22 < float(first.studies.float().mean()) < 0.28
    torch.manual_seed(3)
    assert draw_trust(4000, 0.25, THRESHOLDS, 2).studies.equal(first.studies)
    assert not draw_trust(50, 0.0, THRESHOLDS, 2).studies.any()
    assert draw_trust(50, 1.0, THRESHOLDS, 2).studies.all()
    assert isinstance(first, Trust)
