"""Conformal risk control: the curve is its definition, and the guarantee holds exactly over every left-out study."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.model.risk_control import risk_curve, share_false, study_losses

STUDY = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans()), max_size=6).map(
    lambda claims: (np.array([score for score, _ in claims], float), np.array([false for _, false in claims], bool))
)


def loss(scores, false, threshold):
    """The definition: the largest share of false claims at this threshold or any above it."""
    higher = [score for score in scores if score >= threshold]
    return max([share_false(scores, false, level) for level in higher], default=0.0)


@given(STUDY)
def test_losses_are_the_definition_and_never_rise_with_the_threshold(study):
    levels, losses = study_losses(*study)
    assert losses.tolist() == pytest.approx([loss(*study, level) for level in levels])
    assert all(np.diff(losses) <= 0)


@given(st.lists(STUDY, min_size=1, max_size=8), st.floats(0.05, 0.95))
def test_threshold_is_the_lowest_score_that_keeps_the_bound(studies, max_error):
    curve = risk_curve(studies)
    if max_error < curve.least:
        with pytest.raises(InputError, match="calibration studies allow no bound below"):
            curve.threshold(max_error)
        return

    def bound(threshold):
        return (sum(loss(*study, threshold) for study in studies) + 1) / (len(studies) + 1)

    kept = [score for score in sorted({s for scores, _ in studies for s in scores}) if bound(score) <= max_error]
    assert curve.threshold(max_error) == (kept[0] if kept else None)


@settings(max_examples=200)
@given(st.lists(STUDY, min_size=2, max_size=9), st.floats(0.12, 0.9))
def test_each_study_left_out_in_turn_keeps_the_bound_on_average(studies, max_error):
    """The theorem without a limit or a distribution: a study drawn from any set of studies is exchangeable."""
    shares = []
    for number, left_out in enumerate(studies):
        curve = risk_curve(studies[:number] + studies[number + 1 :])
        if max_error < curve.least:
            return
        shares.append(share_false(*left_out, curve.threshold(max_error)))
    assert np.mean(shares) <= max_error + 1e-12


def test_a_bound_that_is_no_share_and_a_split_without_studies_are_refused():
    curve = risk_curve([(np.array([0.5]), np.array([False]))] * 40)
    for wrong in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="must lie between 0 and 1"):
            curve.threshold(wrong)
    assert curve.threshold(0.05) == 0.5
    with pytest.raises(InputError, match="no calibration study"):
        risk_curve([])


def test_claims_that_are_always_false_are_never_vouched_for():
    assert risk_curve([(np.array([0.99]), np.array([True]))] * 100).threshold(0.05) is None
