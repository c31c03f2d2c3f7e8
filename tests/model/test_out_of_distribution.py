from pathlib import Path

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from xpronet.errors import InputError
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import GATE_FILE
from xpronet.model.fitted_parts import add_gate, load_gate
from xpronet.model.out_of_distribution import Gate, GateSettings, evened, fit_gate


def test_scores_are_ledoit_and_wolfs_distances() -> None:
    rng = np.random.default_rng(0)
    usual = rng.uniform(1, 4, 50)
    train, held_out = (rng.gamma(9, usual / 9, size=(count, 50)).astype(np.float32) for count in (30, 20))
    gate = fit_gate(train, held_out, quantile=0.5, margin=1.0)
    expected = LedoitWolf().fit(evened(train)).mahalanobis(evened(held_out)) / 50
    assert gate.scores(held_out) == pytest.approx(expected, rel=1e-3)
    assert (gate.scores(held_out) > gate.threshold).sum() == 10
    assert gate.scores(held_out[:, ::-1]).min() > gate.threshold
    # What only makes all features larger, as contrast does, changes nothing.
    assert gate.scores(3 * held_out) == pytest.approx(gate.scores(held_out), rel=1e-6)
    wider = fit_gate(train, held_out, quantile=0.5, margin=1.5)
    assert wider.threshold == pytest.approx(1.5 * gate.threshold)


def test_a_picture_without_any_feature_has_a_score() -> None:
    features = np.random.default_rng(0).uniform(size=(24, 6)).astype(np.float32)
    gate = fit_gate(features[:12], features[12:], quantile=1.0, margin=1.0)
    [score] = gate.scores(np.zeros((1, 6), np.float32))
    assert score > gate.threshold


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        fit_gate(np.zeros((30, 4), np.float32), np.zeros((9, 4), np.float32), quantile=0.99, margin=1.0)


@pytest.mark.parametrize("wrong", [{"quantile": 0.0}, {"quantile": 1.1}, {"margin": 0.0}])
def test_wrong_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"gate.{next(iter(wrong))}"):
        GateSettings(**wrong)  # type: ignore[arg-type]


@pytest.fixture
def gate() -> Gate:
    features = np.random.default_rng(0).uniform(size=(24, 6)).astype(np.float32)
    return fit_gate(features[:12], features[12:], quantile=0.9, margin=1.2)


def test_a_checkpoint_keeps_its_gate(tiny_run: Path, gate: Gate, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny_run)
    checkpoint.save(tmp_path / "without")
    assert load_checkpoint(tmp_path / "without").gate is None
    checkpoint.gate = gate
    checkpoint.save(tmp_path / "with")
    far = np.full((1, 6), 9, np.float32)
    for found in (load_checkpoint(tmp_path / "with").gate, load_gate(tmp_path / "with")):
        assert found is not None
        assert found.threshold == gate.threshold
        assert found.scores(far) == gate.scores(far)


def test_a_gate_that_the_manifest_does_not_list_is_not_there(tiny_run: Path, gate: Gate, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    load_checkpoint(tiny_run).save(folder)
    (folder / GATE_FILE).write_bytes(b"the half of a gate: killed before the manifest was written")
    assert load_checkpoint(folder).gate is None
    assert add_gate(folder, gate) == folder
    assert load_checkpoint(folder).gate is not None
    (folder / GATE_FILE).write_bytes((folder / GATE_FILE).read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(folder)
