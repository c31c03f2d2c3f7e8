from pathlib import Path

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from xpronet.errors import InputError
from xpronet.model.checkpoint import GATE_FILE, add_gate, load_checkpoint, load_gate
from xpronet.model.gate import Gate, GateSettings, fit_gate


def test_scores_are_ledoit_and_wolfs_distances() -> None:
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(30, 50)).astype(np.float32), rng.normal(size=(20, 50)).astype(np.float32)
    gate = fit_gate(train, held_out, quantile=0.5)
    expected = LedoitWolf().fit(train.astype(np.float64)).mahalanobis(held_out.astype(np.float64)) / 50
    assert gate.scores(held_out) == pytest.approx(expected, rel=1e-3)
    assert (gate.scores(held_out) > gate.threshold).sum() == 10
    assert gate.scores(held_out + 20).min() > gate.threshold


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        fit_gate(np.zeros((30, 4), np.float32), np.zeros((9, 4), np.float32), quantile=0.99)


@pytest.mark.parametrize("wrong", [{"quantile": 0.0}, {"quantile": 1.1}, {"most_pictures": 9}])
def test_wrong_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"gate.{next(iter(wrong))}"):
        GateSettings(**wrong)  # type: ignore[arg-type]


@pytest.fixture
def gate() -> Gate:
    features = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    return fit_gate(features[:12], features[12:], quantile=0.9)


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
