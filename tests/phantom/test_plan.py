import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.labels.findings import ABNORMALITIES
from xpronet.phantom.plan import plan_studies


def presence(plan: list[tuple[frozenset[str], str]], split: str | None = None) -> np.ndarray:
    rows = [[finding in present for finding in ABNORMALITIES] for present, of in plan if split in (None, of)]
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_balanced_findings_are_each_in_about_a_fifth(seed: int) -> None:
    has = presence(plan_studies(600, "balanced", seed))
    assert has.mean(axis=0).min() >= 0.18
    assert has.mean(axis=0).max() <= 0.23
    assert has.sum(axis=1).max() <= 5
    assert 0.06 <= (has.sum(axis=1) == 0).mean() <= 0.08


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_constant_reports_score_badly_on_balanced(seed: int) -> None:
    test = presence(plan_studies(2000, "balanced", seed), "test")
    each = 2 * test.mean(axis=0) / (1 + test.mean(axis=0))
    assert each.mean() <= 0.36
    assert (test @ each).max() / len(ABNORMALITIES) <= 0.13


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_natural_studies_are_mostly_normal_and_findings_go_together(seed: int) -> None:
    has = presence(plan_studies(3000, "natural", seed))
    assert 0.58 <= (has.sum(axis=1) == 0).mean() <= 0.67
    each = has.mean(axis=0)
    assert each.min() > 0.005
    assert each.max() > 3 * each.min()
    column = {finding: has[:, index] for index, finding in enumerate(ABNORMALITIES)}
    for one, other in (("Pleural Effusion", "Atelectasis"), ("Cardiomegaly", "Edema")):
        assert column[one][column[other] == 1].mean() > 2 * column[one].mean()


@given(tens=st.integers(1, 40), prevalence=st.sampled_from(["natural", "balanced"]), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_splits_are_exact(tens: int, prevalence: str, seed: int) -> None:
    plan = plan_studies(10 * tens, prevalence, seed)  # type: ignore[arg-type]
    splits = [split for _, split in plan]
    assert [splits.count(name) for name in ("train", "val", "test")] == [7 * tens, tens, 2 * tens]
